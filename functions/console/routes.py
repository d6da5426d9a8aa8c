"""Which page a path names; one function a page. `infra/console.py` gives the API the same paths."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from console.door import Asked, NotFound, Reply
from console.pages import asset, metrics, model, openapi, overview, report, run, window
from console.sources import Sources


class Route(NamedTuple):
    """A path, with the names of its variable parts, and who answers it."""

    path: str
    show: Callable[[Asked], Reply]


ROUTES = (
    Route("/console", overview.show),
    Route("/console/assets/{name}", asset.show),
    Route("/console/openapi", openapi.show),
    Route("/metrics", metrics.show),
    Route("/console/models/{model}", model.show),
    Route("/console/models/{model}/runs/{run}", run.show),
    Route("/console/models/{model}/windows/{window}", window.show),
    Route("/console/models/{model}/reports/{stage}/{subject}/{name}", report.show),
)
_PATTERNS = tuple((re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path)), route.show) for route in ROUTES)


def answer(path: str, query: Mapping[str, str], sources: Sources, models: tuple[str, ...]) -> Reply:
    """The page at a path.

    Args:
        path: the request's, percent-decoded as the API hands it on.
        query: the query's parameters.
        sources: where pages read.
        models: ids of the deployed models that the caller may read.

    Raises:
        NotFound: nothing lies there, or it is about a model that the caller may not read.
    """
    path = path.rstrip("/")
    for pattern, show in _PATTERNS:
        if match := pattern.fullmatch(path):
            parts = match.groupdict()
            if "model" in parts and parts["model"] not in models:
                raise NotFound(f"no model '{parts['model']}' is deployed")
            return show(Asked(sources, models, parts, query))
    raise NotFound(f"no page lies at {path}")
