"""What a caller with a token may do. Callers who sign are judged by IAM before the function is asked.

A token's scopes are `<model>/<what>` with infer, label or read, or `*` for every model: `census-income/infer`,
`*/read`. The API has checked the token's signature, issuer, audience and times.
"""

from __future__ import annotations

from typing import Any

from interlock.errors import NotPermitted


def check(event: dict[str, Any], model: str, scope: str) -> None:
    """Let a caller pass whom IAM let pass, or whose token holds the scope.

    Args:
        event: the HTTP API's.
        model: whom it is about; empty is the server as a whole, for which the scope on any model will do.
        scope: infer, label or read.

    Raises:
        NotPermitted: the token holds no such scope.
    """
    token = (event["requestContext"].get("authorizer") or {}).get("jwt")
    if token is None:
        return
    claims = token.get("claims") or {}
    # `scope` by RFC 8693, separated by spaces; `scp` as some issuers have it, which the API hands on as "[a b]".
    held = f"{claims.get('scope', '')} {claims.get('scp', '')}".replace("[", " ").replace("]", " ").split()
    if model:
        allowed = bool({f"{model}/{scope}", f"*/{scope}"} & set(held))
    else:
        allowed = any(item.endswith(f"/{scope}") for item in held)
    if not allowed:
        raise NotPermitted(f"the token does not hold the scope {model or '*'}/{scope}")


def readable(event: dict[str, Any], models: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the models that the caller may read.

    Raises:
        NotPermitted: the token lets no model be read.
    """
    check(event, "", "read")
    return tuple(model for model in models if _may(event, model))


def _may(event: dict[str, Any], model: str) -> bool:
    try:
        check(event, model, "read")
    except NotPermitted:
        return False
    return True
