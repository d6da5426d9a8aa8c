"""Pages made of the console's templates, which may use those of the reports."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader

from console import assets
from console.door import Reply
from interlock.report import TEMPLATES, environment


def html(template: str, *, status: int = 200, **context: Any) -> Reply:
    """Render `templates/<template>.html.j2`; everything that comes from data is escaped.

    Raises:
        jinja2.UndefinedError: the context lacks something the template shows.
    """
    body = _environment().get_template(f"{template}.html.j2").render(**context)
    return Reply(body.encode(), status=status)


@cache
def _environment() -> Environment:
    made = environment(ChoiceLoader([PackageLoader("console"), TEMPLATES]))
    made.globals["asset"] = assets.url
    return made
