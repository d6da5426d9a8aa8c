"""cdk-nag's AwsSolutions pack, and the one way to acknowledge a finding: with a reason, on one construct."""

from __future__ import annotations

from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct

_PACK = "AwsSolutions"


def acknowledge(construct: IConstruct, finding: str, reason: str) -> None:
    """Accept a finding on this construct and what it holds.

    Args:
        construct: as narrow as the finding.
        finding: the rule's id within the pack, with the finding's own part in brackets where a rule has several.
        reason: why it is right here, for the person who audits.
    """
    Validations.of(construct).acknowledge(Acknowledgment(id=f"{_PACK}::{_PACK}-{finding}", reason=reason))


def acknowledge_wildcard(construct: IConstruct, resource: str, reason: str) -> None:
    """Accept that a policy of this construct names this resource with a wildcard in it."""
    acknowledge(construct, f"IAM5[Resource::{_spelled(Stack.of(construct).resolve(resource))}]", reason)


def _spelled(value: Any) -> str:
    """A resource as cdk-nag spells it: references to other resources in angle brackets."""
    match value:
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Join": [between, parts]}:
            return str(between).join(_spelled(part) for part in parts)
        case _:
            return str(value)
