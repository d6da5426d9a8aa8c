"""What runs inside SageMaker's containers."""
