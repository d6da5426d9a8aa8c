"""Series over a model's windows: as figures for the script that draws them, and as paths for pages without it. Pure.

A path's box is 1,000 wide, the axis' whole time, and 100 high; the page stretches it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from console.timeline import Axis
from interlock.figures import number
from interlock.records import CheckedWindow, MetricPoint

# So many points a path: more would not be seen.
_POINTS = 300
_DIGITS = 5
# Half the width of the band around a single point.
_BAR = 3.0
_JUDGED = {"stable", "warn", "drift"}


class Line(NamedTuple):
    """A line's path, and that of the band around it; empty where nothing is known."""

    path: str
    band: str = ""


class Chart(NamedTuple):
    """Lines on one scale, whose ends are written in words."""

    lines: dict[str, Line]
    top: str
    bottom: str


class _Point(NamedTuple):
    x: float
    value: float
    low: float
    high: float


def performance(windows: Sequence[CheckedWindow], on: Axis) -> Chart | None:
    """The watched metric as it was on the holdout, as estimated and as realised; None when nothing is known."""
    series = {
        "holdout": _points(windows, on, _holdout),
        "estimated": _points(windows, on, lambda window: window.estimated),
        "realised": _points(windows, on, lambda window: window.realised),
    }
    every = [edge for run in series.values() for part in run for point in part for edge in (point.low, point.high)]
    if not every:
        return None
    low, high = min(every), max(every)
    room = 0.06 * (high - low) or 0.01 * max(1.0, abs(high))
    low, high = low - room, high + room
    lines = {name: _line(parts, low, high, banded=name != "holdout") for name, parts in series.items()}
    return Chart(lines, number(high), number(low))


def indices(windows: Sequence[CheckedWindow], columns: Sequence[str], limit: float, on: Axis) -> list[Chart]:
    """Each column's PSI over the windows; the scale shows the limit even when nothing comes near it."""
    groups = [(on.x(few[-1].end) * 10, few) for few in _few([window for window in windows if window.state in _JUDGED])]
    return [_index_chart(groups, column, limit) for column in columns]


def figures(windows: Sequence[CheckedWindow], columns: Sequence[str], limit: float, on: Axis) -> dict[str, Any]:
    """All of it as plain JSON values: times in seconds since the epoch, series of the same length, null for unknown.

    `index` has a series for each of the columns, in their order: a name may hold what is not shown as it is.
    """
    metric = windows[-1].metric if windows else ""
    return {
        "from": on.start.timestamp(),
        "until": on.end.timestamp(),
        "at": [window.end.timestamp() for window in windows],
        "window": [window.window for window in windows],
        "version": [window.version for window in windows],
        "metric": metric,
        "holdout": [_rounded(window.holdout) for window in windows],
        "estimated": _three([window.estimated for window in windows]),
        "realised": _three([window.realised for window in windows]),
        "limit": limit,
        "index": [[_rounded(_index(window, column)) for window in windows] for column in columns],
    }


def _index_chart(groups: Sequence[tuple[float, Sequence[CheckedWindow]]], column: str, limit: float) -> Chart:
    thin = []
    for x, few in groups:
        known = [window.columns[column] for window in few if column in window.columns]
        if known:
            worst = max(known)
            thin.append(_Point(x, worst, worst, worst))
    top = max([limit * 1.25, *(point.value for point in thin)])
    return Chart(
        {"index": _line([thin] if thin else [], 0.0, top), "limit": Line(f"M0 {_y(limit, 0.0, top)}H1000")},
        number(top, 2),
        "0",
    )


def _index(window: CheckedWindow, column: str) -> float | None:
    """A column's PSI in a window; None of one with too few rows, in which it is chance."""
    return window.columns.get(column) if window.state in _JUDGED else None


def _holdout(window: CheckedWindow) -> MetricPoint | None:
    value = window.holdout
    return None if value is None else MetricPoint(value=value, low=value, high=value)


def _three(points: Sequence[MetricPoint | None]) -> list[list[float | None]]:
    """Values, lower and upper bounds."""
    edges = [(point.value, point.low, point.high) if point else (None, None, None) for point in points]
    return [[_rounded(edge[place]) for edge in edges] for place in range(3)]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DIGITS)


def _points(
    windows: Sequence[CheckedWindow], on: Axis, of: Callable[[CheckedWindow], MetricPoint | None]
) -> list[list[_Point]]:
    """The stretches of windows in which something is known, thinned out: means, and the widest bounds."""
    found = []
    for known, run in groupby(windows, key=lambda window: of(window) is not None):
        if known:
            found.append([_mean(few, on, of) for few in _few(list(run), len(windows))])
    return found


def _mean(few: Sequence[CheckedWindow], on: Axis, of: Callable[[CheckedWindow], MetricPoint | None]) -> _Point:
    points = [point for window in few if (point := of(window)) is not None]
    return _Point(
        x=on.x(few[-1].end) * 10,
        value=sum(point.value for point in points) / len(points),
        low=min(point.low for point in points),
        high=max(point.high for point in points),
    )


def _few(windows: Sequence[CheckedWindow], of: int | None = None) -> list[Sequence[CheckedWindow]]:
    """The windows in groups of neighbours, so that of all `of` there are at most 300."""
    size = -(-(of or len(windows)) // _POINTS) or 1
    return [windows[place : place + size] for place in range(0, len(windows), size)]


def _line(parts: Iterable[Sequence[_Point]], low: float, high: float, *, banded: bool = False) -> Line:
    """The parts as paths; a single point is a line of no length, which a round cap makes a dot."""
    path, band = [], []
    for part in parts:
        path.append("M" + "L".join(f"{point.x:g} {_y(point.value, low, high)}" for point in part))
        if len(part) == 1:
            path.append("h0")
        if banded:
            # One window's is a bar.
            ends = [(part[0].x - _BAR, part[0]), (part[0].x + _BAR, part[0])]
            along = [(point.x, point) for point in part] if len(part) > 1 else ends
            edge = [f"{x:g} {_y(point.high, low, high)}" for x, point in along]
            edge += [f"{x:g} {_y(point.low, low, high)}" for x, point in reversed(along)]
            band.append("M" + "L".join(edge) + "Z")
    return Line("".join(path), "".join(band))


def _y(value: float, low: float, high: float) -> str:
    return f"{100 * (1 - (value - low) / (high - low)):.1f}"
