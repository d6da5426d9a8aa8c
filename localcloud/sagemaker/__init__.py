"""SageMaker on a laptop: training jobs that really run, a model registry, and their events.

Speaks the documented API; names, patterns and lengths come from botocore's own model of it.
"""
