"""What makes a file impossible to judge row by row."""

from __future__ import annotations

from ingest.rules import Rule


class WholeFile(Exception):
    """The file as a whole cannot be judged row by row."""

    def __init__(self, rule: Rule, found: str) -> None:
        super().__init__(found)
        self.rule = rule
        self.found = found
