"""One model: what serves, and what was decided about it."""

from __future__ import annotations

from itertools import islice

from console.door import Asked, Reply
from console.pages.overview import standing
from console.render import html

_NEWEST = 50


def show(asked: Asked) -> Reply:
    """The model that the path names."""
    entries = list(islice(asked.sources.ledger.newest_first(asked.model), _NEWEST))
    return html("model", standing=standing(asked.sources, asked.model), entries=entries)
