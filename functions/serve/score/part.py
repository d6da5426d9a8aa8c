"""Scores a file, or a piece of a large one."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.objects import Objects
from interlock.catalogue import deployed_text
from interlock.errors import InvalidUpload
from interlock.models import DeployedModel, deployed
from interlock.observability import logger, metrics, observed
from interlock.records import ObjectRef
from interlock.settings import ArtefactsBucket, DataBucket
from interlock.streams import Peeked
from serve.loaded import Loaded
from serve.protocol import rows
from serve.score.answers import answer, columns
from serve.score.documents import Form, Piece, Release, Scored
from serve.score.opening import opened
from serve.score.reading import Columns, Text
from serve.score.writing import Predictions
from serve.stored import served_model


class Settings(DataBucket, ArtefactsBucket):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{claim, model, release, piece} → {index, document}.

    Raises:
        InvalidUpload: the file cannot be read as a whole, or has no rows.
    """
    settings = Settings.load()
    piece, release = Piece.model_validate(event["piece"]), Release.model_validate(event["release"])
    logger.append_keys(model=event["model"], claim=event["claim"], piece=piece.index)
    data, artefacts = Objects(settings.data_bucket), Objects(settings.artefacts_bucket)
    loaded = load(artefacts, release)
    # The engine leaves room for the interpreter, the model and a block of rows.
    memory = max(256, int(context.memory_limit_in_mb) // 3)
    found = score(data, loaded, deployed(event["model"]), event["claim"], piece, memory)
    metrics.add_metric(name="RowsScored", unit=MetricUnit.Count, value=found.scored)
    key = keys.scoring(event["model"], event["claim"], keys.part(piece.index, "scored.json"))
    ref = data.put(key, found.to_json().encode(), "application/json")
    return {"index": piece.index, "document": ref.model_dump(mode="json")}


def load(artefacts: Objects, release: Release) -> Loaded:
    """The version, checked against what was registered.

    Raises:
        ChecksumMismatch: its stored bytes are others; it is not used.
    """
    served = served_model(artefacts.get(release.served))
    onnx = served.onnx
    ref = ObjectRef(bucket=onnx.bucket, key=onnx.key, version=onnx.version, sha256=onnx.sha256, size=onnx.size)
    return Loaded(served, artefacts.get(ref))


def score(data: Objects, loaded: Loaded, model: DeployedModel, claim: str, piece: Piece, memory_mb: int) -> Scored:
    """Score a piece and write its predictions under the claim.

    Keys depend on the claim and the piece alone: a repeat after a crash overwrites what the first try left.

    Raises:
        InvalidUpload: it cannot be read as a whole, or has no rows.
    """
    contract = rows.columns(deployed_text(model.id))
    scratch = Path(tempfile.mkdtemp(prefix="score-"))
    try:
        with data.reader(piece.key, piece.version) as reader:
            wanted = Columns(loaded.signature.inputs, model)
            file = (
                Text(Peeked(reader.open()), piece.layout, wanted, piece.first_line)
                if piece.layout is not None and piece.layout.form is not Form.PARQUET
                else opened(reader, wanted, scratch, memory_mb)
            )
            named = columns(loaded.signature, file.keys, numbered_lines=isinstance(file, Text))
            predictions = Predictions(list(named))
            answered = ((block, answer(block, loaded, contract)) for block in file.blocks(piece.first_row))
            path = scratch / f"predictions.{file.layout.form.answered_as}"
            if isinstance(file, Text):
                predictions.as_csv(answered, path)
            else:
                file.write(named, predictions.as_lines(answered, scratch / "predictions.jsonl"), path)
            source = reader.ref() if piece.layout is None else None
        if not predictions.rows:
            raise InvalidUpload("the file has no rows", remedy="Put a file with rows under score/<model>/.")
        written = data.put_file(keys.scoring(model.id, claim, keys.part(piece.index, path.name)), path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Scored(
        index=piece.index,
        form=file.layout.form,
        columns=tuple(named),
        rows=predictions.rows,
        scored=predictions.scored,
        errors=tuple(predictions.errors),
        predictions=written,
        source=source,
    )
