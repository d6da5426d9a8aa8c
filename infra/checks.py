"""cdk-nag's AwsSolutions pack, and the one way to acknowledge a finding: with a reason, on one construct."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Stack, Validations
from constructs import IConstruct


def acknowledge(construct: IConstruct, finding: str, reason: str) -> None:
    """Accept a finding on this construct and what it holds.

    Args:
        construct: as narrow as the finding.
        finding: the rule's id, with the finding's own part in brackets where the rule has several.
        reason: why it is right here, for the person who audits.
    """
    Validations.of(construct).acknowledge(Acknowledgment(id=finding, reason=reason))


def wildcard(construct: IConstruct, resource: str) -> str:
    """The finding that a policy names this resource with a wildcard in it."""
    return f"AwsSolutions-IAM5[Resource::{Stack.of(construct).resolve(resource)}]"
