"""What Lambda hands a function beside its event."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext


class Context(LambdaContext):
    """Of a call of one of the environment's functions."""

    def __init__(self, function: str = "function", request: str = "request-1") -> None:
        self._function_name = f"interlock-test-{function}"
        self._function_version = "$LATEST"
        self._invoked_function_arn = f"arn:aws:lambda:us-east-1:000000000000:function:{self._function_name}"
        self._memory_limit_in_mb = 1024
        self._aws_request_id = request
