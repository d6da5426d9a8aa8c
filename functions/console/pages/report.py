"""A report as it was written, for whoever may read the model; its policy allows what is in it and nothing else."""

from __future__ import annotations

import base64
import hashlib
import re

from console.door import HTML, Asked, NotFound, Reply
from interlock import keys
from interlock.errors import InvalidUpload

_STAGES = frozenset({"ingest", "train", "release", "monitor"})
# A version's model card lies with the version, not with the reports.
_CARD = "card"
_TYPES = {"html": HTML, "json": "application/json"}
_STYLE = re.compile(rb"<style>(.*?)</style>", re.DOTALL)


def show(asked: Asked) -> Reply:
    """The report's page or its document, by `<stage>/<claim, run, window or version>/<file>`.

    Raises:
        NotFound: there is none.
    """
    stage, subject, name = (asked.parts[part] for part in ("stage", "subject", "name"))
    content_type = _TYPES.get(name.rpartition(".")[2])
    where = f"{asked.model}/{stage}/{subject}/{name}"
    if content_type is None or stage not in {*_STAGES, _CARD} or ".." in {subject, name}:
        raise NotFound(f"there is no report {where}")
    try:
        if stage == _CARD:
            body = asked.sources.artefacts.raw(keys.artefact(asked.model, subject, name))
        else:
            body = asked.sources.data.raw(keys.report(asked.model, stage, subject, name))
    except InvalidUpload:
        raise NotFound(f"there is no report {where}") from None
    return Reply(body, content_type, policy=policy(body))


def policy(body: bytes) -> str:
    """Allows the very styles that the report was written with, and no script, form or address at all."""
    digests = (base64.b64encode(hashlib.sha256(style).digest()).decode() for style in _STYLE.findall(body))
    styles = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; style-src {styles}; img-src data:; form-action 'none'; base-uri 'none';"
        " frame-ancestors 'none'; sandbox allow-same-origin"
    )
