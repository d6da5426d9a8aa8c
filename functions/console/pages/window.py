"""A window of traffic: what the check found, and what that led to."""

from __future__ import annotations

from console.door import Asked, NotFound, Reply
from console.render import html
from interlock import keys
from interlock.errors import InvalidUpload
from interlock.records import CheckedWindow
from interlock.windows import Outcome, WindowResult


def show(asked: Asked) -> Reply:
    """The window that the path names.

    Raises:
        NotFound: no such window was checked.
    """
    name, state, model = asked.parts["window"], asked.sources.state, asked.sources.deployed(asked.model)
    pk, place = f"model#{model.id}", f"window#{name.rpartition('-v')[0]}"
    found = state.get(CheckedWindow, pk, place)
    if found is None or found.window != name:
        raise NotFound(f"no window {name} of {model.id} was checked")
    beside = [
        next(state.query(CheckedWindow, pk, "window#", newest_first=earlier, limit=1, beyond=place), None)
        for earlier in (True, False)
    ]
    return html(
        "window",
        window=found,
        result=checked(asked, found),
        outcome=state.get(Outcome, pk, f"outcome#{name}"),
        earlier=beside[0],
        later=beside[1],
        policy=model.spec.monitoring.drift,
        restricted={column.name for column in model.features if column.restricted},
    )


def checked(asked: Asked, window: CheckedWindow) -> WindowResult | None:
    """All that the check found; None where its report is gone, for reports end by the bucket's rules."""
    try:
        return WindowResult.from_json(
            asked.sources.data.raw(keys.report(asked.model, "monitor", window.window, "report.json"))
        )
    except InvalidUpload:
        return None
