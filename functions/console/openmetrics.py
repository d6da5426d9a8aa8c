"""OpenMetrics text, version 1.0.0: what Prometheus scrapes.

https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Kind = Literal["gauge", "counter", "info", "stateset"]
# What the name of a sample has more than its family's.
_SUFFIX: dict[Kind, str] = {"gauge": "", "counter": "_total", "info": "_info", "stateset": ""}


class Sample(NamedTuple):
    """A value and whose it is."""

    labels: Mapping[str, str]
    value: float


class Family:
    """A metric with all its samples; `unit`, where it has one, is the end of its name."""

    def __init__(self, kind: Kind, name: str, help_: str, unit: str = "") -> None:
        self.kind, self.name, self.help, self.unit = kind, name, help_, unit
        self._samples: list[Sample] = []

    def add(self, value: float | None, **labels: str) -> None:
        """A sample; nothing of what is not known."""
        if value is not None:
            self._samples.append(Sample(labels, value))

    def state(self, current: str, states: Iterable[str], **labels: str) -> None:
        """A state out of some: a sample each, one of them 1; the label is named like the metric."""
        for each in states:
            self.add(float(each == current), **labels, **{self.name: each})

    @property
    def sample(self) -> str:
        """What its samples are called."""
        return self.name + _SUFFIX[self.kind]

    def lines(self) -> Iterable[str]:
        """The family as text; nothing without samples."""
        if not self._samples:
            return
        yield f"# TYPE {self.name} {self.kind}"
        if self.unit:
            yield f"# UNIT {self.name} {self.unit}"
        yield f"# HELP {self.name} {_escaped(self.help)}"
        for labels, value in self._samples:
            listed = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            yield f"{self.sample}{{{listed}}} {_number(value)}"


def exposition(families: Iterable[Family]) -> str:
    """The whole text, with its end."""
    return "".join(f"{line}\n" for family in families for line in family.lines()) + "# EOF\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isfinite(value):
        return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
