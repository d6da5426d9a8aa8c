"""Styles and scripts, each under a name that holds a hash of its bytes, so that browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import NamedTuple

from interlock.report import style

_FOLDER = Path(__file__).parent / "assets"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


class Asset(NamedTuple):
    """A file as it is sent."""

    body: bytes
    content_type: str


@cache
def url(name: str) -> str:
    """The address of `assets/<name>`.

    Raises:
        FileNotFoundError: there is no such file.
    """
    path = _FOLDER / name
    return f"/console/assets/{path.stem}.{hashlib.sha256(_read(path)).hexdigest()[:12]}{path.suffix}"


@cache
def found() -> dict[str, Asset]:
    """All files, by the name in their address."""
    files = (path for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES)
    return {url(path.name).rsplit("/", 1)[-1]: Asset(_read(path), _TYPES[path.suffix]) for path in files}


def _read(path: Path) -> bytes:
    """A file's bytes; the reports' own look goes before the console's."""
    return (style().encode() if path.name == "console.css" else b"") + path.read_bytes()
