"""Cuts a large file into pieces of whole rows: by the one function that must read through it to know where they lie."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.objects import Objects
from interlock.errors import InvalidUpload
from interlock.models import DeployedModel, deployed
from interlock.observability import logger, observed
from interlock.records import ObjectRef, ServedModel
from interlock.settings import ArtefactsBucket, DataBucket
from serve.protocol.signature import Tensor
from serve.score.documents import Piece, Release
from serve.score.opening import opened
from serve.score.reading import Columns


class Settings(DataBucket, ArtefactsBucket):
    """What this function uses."""


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{claim, model, release, piece} → {items, pieces, source}: the key of a list for the map, how many, of what.

    Raises:
        InvalidUpload: the file cannot be read as a whole, or has no rows.
    """
    settings, claim = Settings.load(), event["claim"]
    logger.append_keys(model=event["model"], claim=claim)
    data, release = Objects(settings.data_bucket), Release.model_validate(event["release"])
    served = ServedModel.from_json(Objects(settings.artefacts_bucket).get(release.served))
    # The engine leaves room for the interpreter and for a piece.
    memory = max(256, int(context.memory_limit_in_mb) // 2)
    whole = Piece.model_validate(event["piece"])
    pieces, source = cut(data, served, deployed(event["model"]), claim, whole, memory)
    body = json.dumps([piece.model_dump(mode="json") for piece in pieces]).encode()
    # The key depends on the claim alone, so that a repeat after a crash overwrites; the version says which it is.
    ref = data.put(keys.scoring(event["model"], claim, "pieces.json"), body, "application/json")
    return {
        "items": {"key": ref.key, "version": ref.version},
        "pieces": len(pieces),
        "source": source.model_dump(mode="json"),
    }


def cut(
    data: Objects, served: ServedModel, model: DeployedModel, claim: str, whole: Piece, memory_mb: int
) -> tuple[list[Piece], ObjectRef]:
    """Write the pieces under the claim; answers them and what the file was.

    Raises:
        InvalidUpload: it cannot be read as a whole, or has no rows.
    """
    wanted = Columns([Tensor(item.name, item.datatype, item.required) for item in served.inputs], model)
    scratch = Path(tempfile.mkdtemp(prefix="score-"))
    try:
        with data.reader(whole.key, whole.version) as reader:
            file = opened(reader, wanted, scratch, memory_mb)
            pieces = []
            for index, piece in enumerate(file.pieces(scratch / "piece")):
                ref = data.put_file(keys.scoring(model.id, claim, keys.part(index, "rows")), piece.path)
                pieces.append(
                    Piece(
                        index=index,
                        key=ref.key,
                        version=ref.version,
                        layout=file.layout,
                        first_row=piece.first_row,
                        first_line=piece.first_line,
                    )
                )
            source = reader.ref()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if not pieces:
        raise InvalidUpload("the file has no rows", remedy="Put a file with rows under score/<model>/.")
    return pieces, source
