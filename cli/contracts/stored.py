"""What a cloud knows of a model: the contract its serving version was trained by, and its uploads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from cli import evidence
from cli.target import Target
from ingest.judgement import Judgement
from interlock import keys
from interlock.aws import live
from interlock.errors import InvalidRequest
from interlock.models import DeployedModel
from interlock.records import ServedModel


def champion(target: Target, model: str) -> tuple[DeployedModel, ServedModel] | None:
    """What serves: the contract and spec it was trained by, and what it answers; None when nothing does."""
    return live.champion(target.state, target.data, target.artefacts, model)


def trained_by(target: Target, model: str) -> DeployedModel:
    """The contract and spec that the serving version was trained by.

    Raises:
        InvalidRequest: nothing serves yet.
    """
    found = champion(target, target.model(model))
    if found is None:
        raise InvalidRequest(
            f"no version of {model} serves yet", remedy="Name two contracts: interlock contract diff OLD NEW --file …"
        )
    return found[0]


def uploads(target: Target, model: str, last: int, folder: Path) -> Iterator[tuple[Path, str]]:
    """The last uploads that were judged, admitted or not, fetched one after the other; a file and its name.

    Raises:
        InvalidRequest: there is none.
    """
    reports = evidence.reports(target, target.model(model), "ingest")
    judged = (Judgement.model_validate(evidence.document(target, report)) for report in reports)
    single = (item.source for item in judged if not item.source.key.endswith(keys.MANIFEST))
    count = 0
    for count, source in enumerate(single, 1):
        if count > last:
            return
        path = folder / f"upload-{count}"
        target.client("s3").download_file(source.bucket, source.key, str(path), ExtraArgs={"VersionId": source.version})
        yield path, source.key.rsplit("/", 1)[-1]
        path.unlink()
    if not count:
        raise InvalidRequest(f"nothing was uploaded for {model} yet", remedy="Compare on a file: --file.")
