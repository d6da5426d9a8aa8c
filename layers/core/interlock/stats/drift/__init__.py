"""Whether traffic still looks like the data a model was trained on: one file a statistic, one for the verdict."""
