"""Train: datasets in, a registered model or a refusal out."""
