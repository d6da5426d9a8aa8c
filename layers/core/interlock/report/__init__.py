"""Reports for people: one self-contained HTML page each, light and dark, safe whatever the data holds."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import BaseLoader, Environment, PackageLoader, StrictUndefined

from interlock.cells import visible
from interlock.figures import number, percent, sentence

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
