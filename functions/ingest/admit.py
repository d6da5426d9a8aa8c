"""Makes a judged upload a dataset."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.claim import conclude
from ingest.judgement import Judgement
from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.events import DatasetAdmitted
from interlock.ledger import Decision
from interlock.observability import logger, observed
from interlock.records import ClaimStatus, Dataset, ObjectRef
from interlock.schema import canonical_json
from interlock.settings import Bus, DataBucket, LedgerTable, StateTable


class Settings(DataBucket, StateTable, LedgerTable, Bus):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, str]:
    """{claim, model, execution, result} → {dataset}."""
    settings = Settings.load()
    logger.append_keys(model=event["model"], claim=event["claim"])
    body = Objects(settings.data_bucket).get(ObjectRef.model_validate(event["result"]))
    dataset = admit(
        Judgement.from_json(body),
        ObjectRef.model_validate(event["result"]),
        event["execution"],
        context.function_name,
        datetime.now(UTC),
        State(settings.state_table),
        Ledger(settings.ledger_table),
        EventBus(settings.bus_name),
    )
    return {"dataset": dataset.id}


def admit(
    judgement: Judgement,
    report: ObjectRef,
    execution: str,
    actor: str,
    now: datetime,
    state: State,
    ledger: Ledger,
    bus: EventBus,
) -> Dataset:
    """Write the dataset and the decision, tell, and end the claim last: until then all of it may be done again."""
    owner, dataset = f"model#{judgement.model}", _dataset(judgement, report)
    # One upload is one dataset, also when it was judged again because its first execution died half-way.
    before = (known for known in state.query(Dataset, owner, "dataset#") if known.claim == judgement.claim)
    if (known := next(before, None)) is not None:
        dataset = known
    else:
        state.put(owner, f"dataset#{dataset.admitted_at:%Y-%m-%dT%H:%M:%S.%f}#{dataset.id}", dataset)
    ledger.append(
        Decision(
            model=dataset.model,
            key=f"admitted:{dataset.claim}",
            stage="ingest",
            action="dataset admitted",
            subject=dataset.id,
            actor=actor,
            evidence={
                "source": dataset.source.uri,
                "version": dataset.source.version,
                "sha256": dataset.source.sha256,
                "rows": dataset.rows,
                "bad_rows": dataset.bad_rows,
                "contract": dataset.contract_version,
                "report": report.uri,
            },
        )
    )
    bus.publish(DatasetAdmitted(model=dataset.model, dataset=dataset.id, claim=dataset.claim, rows=dataset.rows))
    conclude(state, dataset.claim, ClaimStatus.ADMITTED, execution, now)
    return dataset


def _dataset(judgement: Judgement, report: ObjectRef) -> Dataset:
    """The manifest; its id is the hash of what it is made of, so that the same upload gives the same id."""
    files = judgement.files
    made_of = {
        "source": judgement.source.sha256,
        "train": files["train"].sha256,
        "holdout": files["holdout"].sha256,
        "contract": judgement.contract_sha256,
    }
    return Dataset(
        id=hashlib.sha256(canonical_json(made_of).encode()).hexdigest()[:16],
        model=judgement.model,
        claim=judgement.claim,
        source=judgement.source,
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
    )
