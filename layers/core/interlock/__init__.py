"""The vocabulary that every stage shares: what a model, a dataset, a release and a decision are."""

import gc

# What a function makes while it starts stays, and little of what it makes later could only be found by the collector:
# at Python's own 700 it takes a tenth of the imports' time, and holds up every other thread.
gc.set_threshold(50_000)

# As pyproject.toml says it; functions have no package's metadata to ask.
VERSION = "0.1.0"
