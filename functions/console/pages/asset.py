"""A style or script."""

from __future__ import annotations

from console import assets
from console.door import Asked, NotFound, Reply


def show(asked: Asked) -> Reply:
    """The file of that name.

    Raises:
        NotFound: there is none, or another version of it.
    """
    found = assets.found().get(asked.parts["name"])
    if found is None:
        raise NotFound(f"there is no file {asked.parts['name']}", remedy="Load the page again.")
    return Reply(found.body, found.content_type, kept=True)
