"""What runs inside the SageMaker training container: data and settings in, an ONNX model and its scores out.

Knows SageMaker's container contract and nothing of AWS: no network, no boto3, no package of Interlock's functions.
"""
