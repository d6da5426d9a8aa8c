"""Puts the predictions of a file's pieces together, and says what became of it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.bus import EventBus
from interlock.aws.claims import conclude
from interlock.aws.maps import map_answers
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.database import connect
from interlock.events import FileScored
from interlock.observability import logger, observed
from interlock.records import ClaimStatus, ObjectRef
from interlock.settings import Bus, DataBucket, StateTable
from serve.score.documents import Form, Release, Result, Scored
from serve.score.writing import TOLD, header

_CONTENT = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}


class Settings(DataBucket, StateTable, Bus):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{claim, model, key, execution, release, answers, source} → {rows, scored}.

    `answers` is the document of the one piece, or where a map wrote those of all; `source` the file, where it was cut.
    """
    settings, claim = Settings.load(), event["claim"]
    logger.append_keys(model=event["model"], claim=claim)
    data, release = Objects(settings.data_bucket), Release.model_validate(event["release"])
    answers, source = event["answers"], event["source"] or None
    found = pieces(data, [answers] if "document" in answers else map_answers(data, answers))
    result = Result(
        model=event["model"],
        claim=claim,
        key=event["key"],
        state="scored",
        version=release.version,
        revision=release.revision,
        rows=sum(piece.rows for piece in found),
        scored=sum(piece.scored for piece in found),
        errors=[error for piece in found for error in piece.errors][:TOLD],
        source=found[0].source or ObjectRef.model_validate(source),
        # Half of it is for what is written while it is read.
        predictions=join(data, event["model"], claim, found, int(context.memory_limit_in_mb) // 2),
    )
    ref = data.put(keys.predictions(result.model, claim, "result.json"), result.to_json().encode(), "application/json")
    EventBus(settings.bus_name).publish(
        FileScored(
            model=result.model,
            claim=claim,
            key=result.key,
            version=release.version,
            rows=result.rows,
            scored=result.scored,
            result=ref.uri,
        )
    )
    # Last: until here all of it may be done again.
    conclude(State(settings.state_table), claim, ClaimStatus.SCORED, event["execution"], datetime.now(UTC))
    return {"rows": result.rows, "scored": result.scored}


def pieces(data: Objects, answers: Iterable[dict[str, Any]]) -> list[Scored]:
    """What became of the pieces, in their order; of one that was done twice, one answer counts."""
    refs = {answer["index"]: ObjectRef.model_validate(answer["document"]) for answer in answers}
    return [Scored.from_json(data.get(refs[index])) for index in sorted(refs)]


def join(data: Objects, model: str, claim: str, found: list[Scored], memory_mb: int) -> ObjectRef:
    """Write the predictions of all pieces, in their order, as one file under the claim."""
    scratch = Path(tempfile.mkdtemp(prefix="score-"))
    ending = found[0].form.answered_as
    path = scratch / f"predictions.{ending}"
    try:
        if found[0].form is Form.PARQUET:
            from serve.score import parquet

            parts = data.get_files((piece.predictions for piece in found), scratch / "parts")
            with connect(memory_mb, scratch) as con:
                parquet.join(con, parts, path)
        else:
            with path.open("wb") as file:
                file.write(header(found[0].columns))
                for piece in found:
                    file.write(data.get(piece.predictions))
        return data.put_file(keys.predictions(model, claim, path.name), path, _CONTENT[ending])
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
