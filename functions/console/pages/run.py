"""A training run: what it was made of, and what the gate said."""

from __future__ import annotations

from console.door import Asked, NotFound, Reply
from console.render import html
from interlock import keys
from interlock.errors import InvalidUpload
from interlock.records import Verdict


def show(asked: Asked) -> Reply:
    """The run that the path names.

    Raises:
        NotFound: the gate has judged no such run.
    """
    run = asked.parts["run"]
    try:
        stored = asked.sources.data.raw(keys.report(asked.model, "train", run, "report.json"))
    except InvalidUpload:
        raise NotFound(f"the gate has not judged a run {run} of {asked.model}") from None
    return html("run", verdict=Verdict.from_json(stored))
