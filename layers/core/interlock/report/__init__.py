"""Reports for people: one self-contained HTML page each, light and dark, safe whatever the data holds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined

from interlock.cells import visible

TEMPLATES = PackageLoader("interlock.report")


def page(template: str, **context: Any) -> str:
    """Render `templates/<template>.html.j2`; everything that comes from data is escaped, also what nobody sees.

    Raises:
        jinja2.UndefinedError: the context lacks something the template shows.
    """
    return _environment().get_template(f"{template}.html.j2").render(**context)


def style() -> str:
    """The look of the reports: what stands in each of them between `<style>` and `</style>`."""
    return _environment().get_template("style.css").render()


@cache
def _environment() -> Environment:
    return environment(TEMPLATES)


def environment(loader: BaseLoader) -> Environment:
    """What makes pages of templates: escapes whatever is printed, and knows the reports' filters."""
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["cell"] = visible
    made.filters["number"] = number
    made.filters["percent"] = percent
    made.filters["sentence"] = sentence
    return made


def _seen(value: Any) -> Any:
    """Whatever is printed: nothing of it hides or turns the text around it; markup is ours."""
    return visible(value, keep="\n\t") if isinstance(value, str) and not hasattr(value, "__html__") else value


def number(value: float | None, digits: int = 4) -> str:
    """A number as people read it: thousands separated, small ones with significant digits, nothing as a dash."""
    if value is None:
        return "–"
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}"


def ranges(edges: Sequence[float], *, whole: bool) -> tuple[str, ...]:
    """The bins between ascending edges in words, the ends open; of whole numbers by their first and last value."""
    if not edges:
        return ("all values",)
    middle = [_range(low, high, whole=whole) for low, high in pairwise(edges)]
    return (f"below {number(edges[0])}", *middle, f"from {number(edges[-1])}")


def _range(low: float, high: float, *, whole: bool) -> str:
    # The bin of a constant ends just above it.
    last = max(low, high - 1) if whole else high
    return number(low) if number(low) == number(last) else f"{number(low)} to {number(last)}"


def percent(share: float | None, digits: int = 1) -> str:
    """A share as a percentage."""
    return "–" if share is None else f"{100 * share:.{digits}f}%"


def sentence(text: str) -> str:
    """The text with a capital; the rest stays as it is written."""
    return text[:1].upper() + text[1:]
