"""What the deployment says of the models: read when it is first asked for."""

from __future__ import annotations

from functools import cache

from interlock.catalogue import deployed_ids, deployed_text
from serve.protocol.response import encode
from serve.protocol.rows import Column, columns


@cache
def contract(model: str) -> dict[str, Column]:
    """The columns of a deployed model's contract, by name.

    Raises:
        UnknownModel: no such model is deployed.
    """
    return columns(deployed_text(model))


@cache
def openapi() -> bytes:
    """The description of the whole API; made with a library that predicting never loads."""
    from interlock.models import deployed
    from interlock.openapi import describe

    return encode(describe([deployed(model) for model in deployed_ids()]))
