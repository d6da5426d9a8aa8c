"""The Open Inference Protocol V2 over REST, pure: bytes in, bytes out; no AWS, no environment, no clock.

https://github.com/kserve/open-inference-protocol (specification/protocol/inference_rest.md)
"""
