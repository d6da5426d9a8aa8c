"""The vocabulary that every stage shares: what a model, a dataset, a release and a decision are."""
