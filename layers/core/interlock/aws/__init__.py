"""Adapters to AWS: the only place of the bundle with boto3."""
