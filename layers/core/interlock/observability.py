"""Logs and metrics of every function; nobody else builds them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.errors import InterlockError

# Service and namespace come from the function's POWERTOOLS_* variables.
logger = Logger(use_rfc3339=True, utc=True)
metrics = Metrics()

Handler = Callable[[dict[str, Any], LambdaContext], Any]


def observed(handler: Handler) -> Handler:
    """Give a handler structured logs, its metrics, and one log line with the remedy when it refuses."""

    @logger.inject_lambda_context(clear_state=True)
    @functools.wraps(handler)
    def wrapper(event: dict[str, Any], context: LambdaContext) -> Any:
        try:
            return handler(event, context)
        except InterlockError as error:
            name = type(error).__name__
            logger.warning(error.message, error=name, headline=error.headline, remedy=error.next_step)
            metrics.add_dimension(name="error", value=name)
            metrics.add_metric(name="Refusals", unit=MetricUnit.Count, value=1)
            raise
        finally:
            # The library's own decorator warns at every call of a function that counts nothing.
            if metrics.provider.metric_set:
                metrics.flush_metrics()

    return wrapper
