"""Makes an approved version the champion, to be probed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.ledger import Ledger
from interlock.aws.objects import Objects
from interlock.aws.registry import Package, Registry
from interlock.aws.state import State
from interlock.errors import Refused, RevisionChanged
from interlock.ledger import Decision
from interlock.observability import logger, observed
from interlock.records import ServedModel
from interlock.settings import ArtefactsBucket, LedgerTable, StateTable
from release.record import change, read
from release.transitions import is_old_news, promoted


class Settings(StateTable, LedgerTable, ArtefactsBucket):
    """What this function uses."""

    package_group_prefix: str


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{package_arn, approved_by, told, execution} → {go, model, version, revision}."""
    settings = Settings.load()
    package = Registry(settings.package_group_prefix).describe(event["package_arn"])
    logger.append_keys(model=package.model, version=package.version)
    check(package, Objects(settings.artefacts_bucket))
    revision = promote(
        package,
        f"{context.function_name} (approved by {event['approved_by']})",
        event["execution"],
        datetime.fromisoformat(event["told"]),
        State(settings.state_table),
        Ledger(settings.ledger_table),
    )
    return {
        "go": revision is not None,
        "model": package.model,
        "version": package.version,
        "revision": revision or 0,
    }


def check(package: Package, artefacts: Objects) -> None:
    """Refuse a package that is not approved, or whose stored model is not the one that was judged.

    Raises:
        Refused: the registry does not say Approved, or the package and its model speak of different versions.
        ChecksumMismatch: the stored bytes are not the recorded ones.
    """
    if package.approval != "Approved":
        raise Refused(f"{package.arn} is {package.approval}, not Approved")
    served = ServedModel.from_json(artefacts.get(package.candidate.served))
    artefacts.get(served.onnx)
    if (served.model, served.version) != (package.model, package.version):
        raise Refused(
            f"{package.arn} holds {served.model} version {served.version}",
            remedy="The registry's entry was changed by hand: register the run again.",
        )


def promote(package: Package, by: str, execution: str, told: datetime, state: State, ledger: Ledger) -> int | None:
    """Change the live record and write it down; None when there is nothing to change.

    A repeat of the same execution goes on with the change that it made before. An automatic approval is told twice, by
    the gate and by the registry: of two executions at once, the slower one finds its version champion already.
    """
    try:
        return _promote(package, by, execution, told, state, ledger)
    except RevisionChanged:
        return _promote(package, by, execution, told, state, ledger)


def _promote(package: Package, by: str, execution: str, told: datetime, state: State, ledger: Ledger) -> int | None:
    before = read(state, package.model)
    if is_old_news(before, package.version, told):
        return None
    after = promoted(before, package.candidate, package.model, by, f"approved: {execution}", datetime.now(UTC))
    if after is None:
        assert before is not None  # noqa: S101 - nothing to change means there is a champion
        return before.revision if before.state == "probing" and execution in before.reason else None
    change(state, before, after)
    ledger.append(
        Decision(
            model=package.model,
            key=f"promote:{package.version}:{after.revision}",
            stage="release",
            action="release started",
            subject=f"version {package.version}",
            actor=by,
            evidence={
                "revision": after.revision,
                "package": package.arn,
                "served_sha256": package.candidate.served.sha256,
                "previous": before.champion.version if before and before.champion else None,
            },
        )
    )
    return after.revision
