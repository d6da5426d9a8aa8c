"""How results are shown: tables for people, JSON for machines, one line each where nobody watches."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

# The terminal's own width; wide enough to keep a line whole where there is no terminal.
console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
_NAME = re.compile(r"\S{0,36}")
_TONES = {
    "pass": "green",
    "succeeded": "green",
    "admitted": "green",
    "stable": "green",
    "ok": "green",
    "warn": "yellow",
    "too_few": "yellow",
    "running": "cyan",
    "fail": "red",
    "failed": "red",
    "rejected": "red",
    "drift": "red",
    "timed_out": "red",
    "aborted": "red",
}


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table with a title; nothing for no rows."""
    listed = list(rows)
    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="dim", title_style="bold")
    for place, column in enumerate(columns):
        # Names and ids stay whole, so that they can be copied; what is longer is folded, and nothing cut off.
        lines = [line for row in listed for line in str(row[place]).split("\n")]
        names = [line for line in lines if _NAME.fullmatch(line)]
        width = max(map(len, [*column.split(), *names]), default=0)
        # A column of nothing else gives way to no other.
        kept = len(names) == len(lines) and len(column) <= width
        drawn.add_column(column, overflow="fold", min_width=width, no_wrap=kept)
    for row in listed:
        drawn.add_row(*map(tone, row))
    if listed:
        console.print(drawn)
        console.print()


def tone(value: Any) -> str:
    """A cell; well-known words in their colour."""
    text = "" if value is None else str(value)
    colour = _TONES.get(text.lower())
    return f"[{colour}]{text}[/]" if colour else text.replace("[", "\\[")


def step(text: str) -> None:
    """A headline of something long."""
    console.print(f"[bold]{text}[/]")


def note(text: str, indent: int = 2) -> None:
    """What stands below it, indented also where it goes over several lines."""
    marked = Text.from_markup(text if text.startswith("[") else f"[dim]{text}[/]")
    for line in marked.wrap(console, console.width - indent):
        console.print(Text(" " * indent).append_text(line))


def as_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def ago(moment: datetime) -> str:
    """How long ago something was."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} s ago"
