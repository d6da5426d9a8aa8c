"""What an upload says about itself, by its key and by what was written beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from interlock import keys
from interlock.aws.claims import pk
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.errors import InvalidUpload
from interlock.keys import MODE, ORIGIN, REFRESH, Upload
from interlock.models import DeployedModel
from interlock.records import Claim, ClaimStatus, Mode, Origin

_KEPT = {ClaimStatus.ADMITTED, ClaimStatus.DUPLICATE}


def mode_of(upload: Upload, metadata: Mapping[str, str]) -> Mode:
    """Whether it is added to what came before, or takes its place; added when nothing is said.

    Raises:
        InvalidUpload: the word is unknown, or the key says otherwise; nothing is guessed where data could go missing.
    """
    said = metadata.get(MODE, "").strip().lower()
    if said and said not in list(Mode):
        raise InvalidUpload(
            f"s3://{upload.bucket}/{upload.key}: its metadata says {MODE}: {said}",
            remedy=f"Say {' or '.join(Mode)}, or nothing, which is {Mode.APPEND}.",
        )
    if upload.refreshes and said == Mode.APPEND:
        raise InvalidUpload(
            f"s3://{upload.bucket}/{upload.key} lies in the folder {REFRESH}/, but its metadata says {MODE}: {said}",
            remedy="Say the same in both places, or in one only.",
        )
    return Mode.REFRESH if upload.refreshes else Mode(said or Mode.APPEND)


def origin_of(upload: Upload, metadata: Mapping[str, str], state: State) -> Origin | None:
    """The upload of which these are mended rows; None when nothing is said.

    Raises:
        InvalidUpload: there was no such upload of this model.
    """
    said = metadata.get(ORIGIN, "").strip().lower()
    if not said:
        return None
    first = state.get(Claim, pk(said), "claim")
    if first is None or first.model != upload.model:
        raise InvalidUpload(
            f"s3://{upload.bucket}/{upload.key}: its metadata says {ORIGIN}: {said}, and no upload of {upload.model} "
            "has that claim",
            remedy=f"`interlock quarantine list {upload.model}` names the claims.",
        )
    return Origin(claim=first.claim, key=first.key, admitted=first.status in _KEPT)


def rules_for(model: DeployedModel, origin: Origin | None, data: Objects) -> DeployedModel:
    """The model with the rules that its upload is judged by.

    Mended rows of an admitted upload keep the rules for each row and none about the file: a handful of rows is no
    truncated export, and that some are still bad says nothing about the others. Their CSV is read as the quarantine
    writes it: with a header, in UTF-8, with the delimiter that it has, and Parquet's without the contract's marks.
    """
    if origin is None or not origin.admitted:
        return model
    dialect = model.contract.dialect
    if dialect is not None:
        dialect = dialect.model_copy(update={"header": True, "encoding": None, "delimiter": None})
        report = json.loads(data.raw(keys.report(model.id, "ingest", origin.claim, "report.json")))
        dialect = None if report["kind"] == "Parquet" else dialect
    by_row = {
        "min_rows": 1,
        "max_rows": None,
        "max_bad_row_share": 1.0,
        "quality": tuple(rule for rule in model.contract.quality if rule.allows_none),
        "dialect": dialect,
    }
    return model.model_copy(update={"contract": model.contract.model_copy(update=by_row)})
