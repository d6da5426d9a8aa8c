"""Reads the manifest of a set and fixes which versions of which files are judged."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from ingest.sets import as_items, parts
from interlock import keys
from interlock.aws.objects import Objects
from interlock.observability import logger, observed
from interlock.settings import DataBucket


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """{claim, model, bucket, key, version} → {items, files}: the key of a list for the map, and how many there are.

    Raises:
        InvalidUpload: the manifest cannot be read, or names a file that cannot be taken.
    """
    logger.append_keys(model=event["model"], claim=event["claim"])
    data = Objects(DataBucket.load().data_bucket)
    text = data.raw(event["key"], event["version"])
    found = parts(text, event["key"], event["model"], data)
    # The key depends on the claim alone, so that a repeat after a crash overwrites; the version says which it is.
    ref = data.put(keys.work(event["model"], event["claim"], "files.json"), as_items(found), "application/json")
    return {"items": {"key": ref.key, "version": ref.version}, "files": len(found)}
