"""What an upload says about itself, by its key and by what was written beside it."""

from __future__ import annotations

from collections.abc import Mapping

from interlock.errors import InvalidUpload
from interlock.keys import MODE, REFRESH, Upload
from interlock.records import Mode


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
