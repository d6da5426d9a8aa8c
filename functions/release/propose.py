"""Puts an approved version beside the champion, to be probed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.ledger import Ledger
from interlock.aws.live import live_release
from interlock.aws.objects import Objects
from interlock.aws.registry import Package, Registry
from interlock.aws.state import State
from interlock.errors import Refused, RevisionChanged
from interlock.events import ModelApproved
from interlock.models import deployed
from interlock.observability import logger, observed
from interlock.records import LiveRelease, ServedModel
from interlock.settings import ArtefactsBucket, LedgerTable, StateTable
from interlock.spec import Release
from release.record import change
from release.transitions import is_old_news, started


class Settings(StateTable, LedgerTable, ArtefactsBucket):
    """What this function uses."""

    package_group_prefix: str


@dataclass(frozen=True)
class Approval:
    """Who said yes, and when it was told; `execution` is the workflow's, the same at every retry."""

    by: str
    told: datetime
    execution: str


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{event: {source, time, detail-type, detail}, execution} → {go, model, version, revision}.

    Three events start it: the gate's ModelRegistered, a person's ModelApproved, the registry's own.
    """
    settings = Settings.load()
    told, detail = event["event"], event["event"]["detail"]
    registry = Registry(settings.package_group_prefix)
    package = registry.describe(detail.get("package_arn") or detail["ModelPackageArn"])
    logger.append_keys(model=package.model, version=package.version)
    state = State(settings.state_table)
    by = "the gate" if told["source"] == "interlock" else "the registry"
    person = told["detail-type"] == ModelApproved.name
    if person:
        given = ModelApproved.model_validate(detail)
        by = f"{given.approved_by}: {given.comment}"
        check_unchanged(package, given, live_release(state, package.model))
    elif package.approval != "Approved":
        raise Refused(f"{package.arn} is {package.approval}, not Approved")
    check(package, Objects(settings.artefacts_bucket))
    revision = propose(
        package,
        deployed(package.model).spec.release,
        Approval(
            f"{context.function_name} (approved by {by})", datetime.fromisoformat(told["time"]), event["execution"]
        ),
        state,
        Ledger(settings.ledger_table),
    )
    if person and package.approval != "Approved":
        # Only now: the registry tells of it, and what that starts must find the person's decision made.
        registry.approve(package, by)
    return {
        "go": revision is not None,
        "model": package.model,
        "version": package.version,
        "revision": revision or 0,
    }


def check_unchanged(package: Package, given: ModelApproved, live: LiveRelease | None) -> None:
    """Refuse the approval of something that is no longer what the person looked at.

    Raises:
        Refused: the package's entry has changed, was rejected, or another version serves by now.
    """
    remedy = "Look again and approve what is there now: `interlock release approve`."
    if package.approval == "Rejected":
        raise Refused(f"{package.arn} has been rejected meanwhile", remedy=remedy)
    if package.digest != given.seen:
        raise Refused(f"{package.arn} is not what was approved: its entry has changed since", remedy=remedy)
    champion = live.champion.version if live and live.champion else None
    if champion != given.champion:
        raise Refused(
            f"version {package.version} was approved while version {given.champion} served; now {champion} does",
            remedy=remedy,
        )


def check(package: Package, artefacts: Objects) -> None:
    """Refuse a package whose stored model is not the one that was judged.

    Raises:
        Refused: the package and its model speak of different versions.
        ChecksumMismatch: the stored bytes are not the recorded ones.
    """
    served = ServedModel.from_json(artefacts.get(package.candidate.served))
    artefacts.get(served.onnx)
    if (served.model, served.version) != (package.model, package.version):
        raise Refused(
            f"{package.arn} holds {served.model} version {served.version}",
            remedy="The registry's entry was changed by hand: register the run again.",
        )


def propose(package: Package, plan: Release, approval: Approval, state: State, ledger: Ledger) -> int | None:
    """Change the live record; answers the revision to probe, None when there is nothing to change.

    A repeat of the same execution goes on with the change that it made before. An automatic approval is told twice, by
    the gate and by the registry: of two executions at once, the slower one finds its version there already.
    """
    try:
        return _propose(package, plan, approval, state, ledger)
    except RevisionChanged:
        return _propose(package, plan, approval, state, ledger)


def _propose(package: Package, plan: Release, approval: Approval, state: State, ledger: Ledger) -> int | None:
    before = live_release(state, package.model)
    if before is not None and before.state == "probing" and approval.execution in before.reason:
        return before.revision
    if is_old_news(before, package.version, approval.told):
        return None
    reason = f"approved: {approval.execution}"
    after = started(before, package.candidate, package.model, plan, approval.by, reason, datetime.now(UTC))
    if after is None:
        return None
    change(state, ledger, before, after)
    return after.revision
