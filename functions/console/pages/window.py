"""A window of traffic: what the check found, and what that led to."""

from __future__ import annotations

from console.door import Asked, NotFound, Reply
from console.render import html
from interlock.records import CheckedWindow


def show(asked: Asked) -> Reply:
    """The window that the path names.

    Raises:
        NotFound: no such window was checked.
    """
    name = asked.parts["window"]
    found = asked.sources.state.get(CheckedWindow, f"model#{asked.model}", f"window#{name.partition('-')[0]}")
    if found is None or found.window != name:
        raise NotFound(f"no window {name} of {asked.model} was checked")
    return html("window", window=found)
