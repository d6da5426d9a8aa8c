"""Makes a judged upload a dataset."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.judgement import BesideTraining, Judgement
from interlock.aws.bus import EventBus
from interlock.aws.claims import conclude
from interlock.aws.datasets import Datasets
from interlock.aws.ledger import Ledger
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.events import DatasetAdmitted, DatasetDrifted
from interlock.ledger import Decision
from interlock.observability import logger, observed
from interlock.records import ClaimStatus, Dataset, ObjectRef, Repeat
from interlock.schema import canonical_json
from interlock.settings import Bus, DataBucket, LedgerTable, StateTable


class Settings(DataBucket, StateTable, LedgerTable, Bus):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """{claim, model, execution, result} → {dataset, outcome: admitted or duplicate}."""
    settings = Settings.load()
    logger.append_keys(model=event["model"], claim=event["claim"])
    body = Objects(settings.data_bucket).get(ObjectRef.model_validate(event["result"]))
    status, dataset = admit(
        Judgement.from_json(body),
        ObjectRef.model_validate(event["result"]),
        event["execution"],
        context.function_name,
        datetime.now(UTC),
        State(settings.state_table),
        Ledger(settings.ledger_table),
        EventBus(settings.bus_name),
    )
    return {"dataset": dataset.id, "outcome": status}


def admit(
    judgement: Judgement,
    report: ObjectRef,
    execution: str,
    actor: str,
    now: datetime,
    state: State,
    ledger: Ledger,
    bus: EventBus,
) -> tuple[ClaimStatus, Dataset]:
    """Write the dataset and the decision, tell, and end the claim last: until then all of it may be done again.

    The same bytes under the same contract are one dataset: uploaded again they are linked to it. The event is for those
    who train, and is left out where the upload changes nothing for them: a repeat, or one older than the last refresh.
    """
    datasets = Datasets(state, judgement.model)
    new = _dataset(judgement, report)
    kept = datasets.keep(new)
    status = ClaimStatus.ADMITTED if kept.claim == new.claim else ClaimStatus.DUPLICATE
    if status is ClaimStatus.DUPLICATE:
        datasets.repeat(
            Repeat(
                model=new.model,
                claim=new.claim,
                dataset=kept.id,
                source=new.source,
                mode=new.mode,
                uploaded_at=new.uploaded_at or new.admitted_at,
            )
        )
    without = [item.id for item in datasets.in_training(new.contract_sha256, without=new.claim)]
    there = [item.id for item in datasets.in_training(new.contract_sha256)]
    ledger.append(_decision(status, new, kept, without, there, actor, judgement.training))
    training = judgement.training
    if training and training.drift.state == "drift" and status is ClaimStatus.ADMITTED:
        bus.publish(
            DatasetDrifted(
                model=kept.model,
                dataset=kept.id,
                claim=new.claim,
                run=training.run,
                columns=training.drift.drifted,
                report=new.report.uri,
            )
        )
    if there != without:
        bus.publish(DatasetAdmitted(model=kept.model, dataset=kept.id, claim=new.claim, rows=kept.rows))
    conclude(state, new.claim, status, execution, now, new.origin)
    return status, kept


def _decision(
    status: ClaimStatus,
    new: Dataset,
    kept: Dataset,
    without: list[str],
    there: list[str],
    actor: str,
    training: BesideTraining | None,
) -> Decision:
    """What the ledger keeps; `there` and `without` are the datasets in training with this upload and without it."""
    repeated = status is ClaimStatus.DUPLICATE
    judged = new if repeated else kept
    about = (
        {"first_upload": kept.source.uri, "first_version": kept.source.version}
        if repeated
        else {"rows": kept.rows, "bad_rows": kept.bad_rows}
    )
    return Decision(
        model=new.model,
        key=f"{status}:{new.claim}",
        stage="ingest",
        action="upload repeated" if repeated else "dataset admitted",
        subject=kept.id,
        actor=actor,
        evidence={
            **about,
            **({"mended_from": new.origin.claim} if new.origin else {}),
            "mode": new.mode,
            "in_training": kept.id in there,
            "replaced": [item for item in without if item not in there],
            "source": new.source.uri,
            "version": new.source.version,
            "sha256": new.source.sha256,
            "contract": judged.contract_version,
            "report": judged.report.uri,
            **(
                {"beside_run": training.run, "drift": training.drift.state, "drifted": list(training.drift.drifted)}
                if training
                else {}
            ),
        },
    )


def _dataset(judgement: Judgement, report: ObjectRef) -> Dataset:
    """The manifest; its id is the hash of what was uploaded and by what it was judged, the same at every try."""
    files = judgement.files
    made_of = {
        "content": judgement.content_sha256 or judgement.source.sha256,
        "contract": judgement.contract_sha256,
    }
    return Dataset(
        id=hashlib.sha256(canonical_json(made_of).encode()).hexdigest()[:16],
        model=judgement.model,
        claim=judgement.claim,
        source=judgement.source,
        origin=judgement.origin,
        train=files["train"],
        holdout=files["holdout"],
        profile=files["profile"],
        report=report,
        rows=judgement.rows - judgement.bad_rows,
        train_rows=judgement.train_rows,
        holdout_rows=judgement.holdout_rows,
        bad_rows=judgement.bad_rows,
        contract_version=judgement.contract_version,
        contract_sha256=judgement.contract_sha256,
        # When it was judged, not now: a repeat writes the same record under the same key.
        admitted_at=judgement.judged_at,
        mode=judgement.mode,
        uploaded_at=judgement.uploaded_at,
        content_sha256=judgement.content_sha256,
    )
