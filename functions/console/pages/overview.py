"""The models, and what serves now."""

from __future__ import annotations

from typing import NamedTuple

from console.door import Asked, Reply
from console.render import html
from console.sources import Sources
from interlock.aws.live import live_release
from interlock.records import CheckedWindow, LiveRelease


class Standing(NamedTuple):
    """Where a model stands: what serves, and what the last check of its traffic found."""

    model: str
    description: str
    live: LiveRelease | None
    window: CheckedWindow | None


def show(asked: Asked) -> Reply:
    """All models that the caller may read."""
    return html("overview", models=[standing(asked.sources, model) for model in asked.models])


def standing(sources: Sources, model: str) -> Standing:
    """One model's."""
    pk = f"model#{model}"
    newest = sources.state.query(CheckedWindow, pk, "window#", newest_first=True, limit=1)
    return Standing(
        model,
        sources.deployed(model).spec.description,
        live_release(sources.state, model),
        next(newest, None),
    )
