"""Puts the small capture files of a window's days together, before the window is checked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock.aws.objects import Objects
from interlock.models import deployed
from interlock.observability import logger, metrics, observed
from interlock.settings import DataBucket
from monitor.compaction import compact


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """{model, at} → {files}: how many small files went into larger ones."""
    model = deployed(event["model"])
    logger.append_keys(model=model.id)
    end = datetime.fromisoformat(event["at"]).astimezone(UTC)
    day = (end - model.spec.monitoring.window.reach).date()
    data, files = Objects(DataBucket.load().data_bucket), 0
    memory = max(256, int(context.memory_limit_in_mb) // 2)
    while day <= end.date():
        files += compact(data, model.id, day, memory)
        day += timedelta(days=1)
    metrics.add_metric(name="CapturesCompacted", unit=MetricUnit.Count, value=files)
    return {"files": files}
