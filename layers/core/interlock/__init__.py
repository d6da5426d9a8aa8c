"""The vocabulary that every stage shares: what a model, a dataset, a release and a decision are."""

# As pyproject.toml says it; functions have no package's metadata to ask.
VERSION = "0.1.0"
