"""Freezes what a run is trained on, so that nothing that happens meanwhile changes it."""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.datasets import Datasets
from interlock.aws.live import live_release
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.errors import NothingNew, TrainingFailed
from interlock.models import DeployedModel, deployed
from interlock.observability import logger, observed
from interlock.records import Dataset, ObjectRef, TrainingManifest
from interlock.schema import canonical_json
from interlock.settings import DataBucket, StateTable
from train.data import fits, join

_PARQUET = "application/vnd.apache.parquet"
_JSON = "application/json"


class Settings(DataBucket, StateTable):
    """What this function uses."""


@dataclass(frozen=True)
class Local:
    """A dataset with its files on disk: those to train on, and those that are held out."""

    dataset: Dataset
    train: list[Path]
    holdout: list[Path]


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{model, run, reason, execution} → {manifest}.

    Raises:
        NothingNew: the champion, or the version that is being released, was trained on exactly this.
        TrainingFailed: no dataset fits the contract.
    """
    settings = Settings.load()
    logger.append_keys(model=event["model"], run=event["run"])
    model = deployed(event["model"])
    # Half for the engine: the interpreter and the files' buffers need room too.
    memory = max(256, int(context.memory_limit_in_mb) // 2)
    manifest = freeze(
        State(settings.state_table), Objects(settings.data_bucket), model, script(model), event["run"], memory
    )
    return {"manifest": manifest.model_dump(mode="json")}


def freeze(
    state: State, data: Objects, model: DeployedModel, user_script: str | None, run: str, memory_mb: int
) -> ObjectRef:
    """Write the run's channels, holdout, settings and manifest; answers the manifest.

    Channels: settings/job.json (and the user's script), train/train.parquet, holdout/holdout.parquet (features only).

    Raises:
        NothingNew, TrainingFailed: as the handler.
    """
    scratch = Path(tempfile.mkdtemp(prefix="freeze-"))
    try:
        datasets = Datasets(state, model.id).in_training(model.contract.digest())
        used, skipped = _fitting(data, model, datasets, scratch)
        identity = {
            "datasets": [local.dataset.id for local in used],
            "contract": model.contract.digest(),
            "spec": model.spec.digest(),
            "script": hashlib.sha256(user_script.encode()).hexdigest() if user_script else None,
        }
        manifest_id = hashlib.sha256(canonical_json(identity).encode()).hexdigest()[:16]
        live = live_release(state, model.id)
        # One that is being released is on its way: the same once more would only take its place.
        for candidate in (live.champion, live.challenger) if live is not None else ():
            if candidate is not None and candidate.manifest_id == manifest_id:
                raise NothingNew(
                    f"{model.id}: version {candidate.version} was trained on exactly these "
                    f"{len(used)} datasets with these settings"
                )
        (scratch / "work").mkdir()
        frozen = join(model, [(*local.train, *local.holdout) for local in used], scratch / "work", memory_mb)

        def put(name: str, body: str, kind: str = _JSON) -> ObjectRef:
            return data.put(keys.training(model.id, run, name), body.encode(), kind)

        def put_file(name: str, path: Path) -> ObjectRef:
            return data.put_file(keys.training(model.id, run, name), path, _PARQUET)

        put("channels/settings/job.json", json.dumps(job_settings(model), indent=1))
        if user_script and model.spec.training.script:
            put(f"channels/settings/{model.spec.training.script}", user_script, "text/x-python")
        manifest = TrainingManifest(
            id=manifest_id,
            model=model.id,
            run=run,
            datasets=tuple(local.dataset.id for local in used),
            skipped=tuple(dataset.id for dataset in skipped),
            sources=tuple(local.dataset.source for local in used),
            settings=put("model.json", model.to_json()),
            train=put_file("channels/train/train.parquet", frozen.train),
            holdout_features=put_file("channels/holdout/holdout.parquet", frozen.holdout_features),
            holdout=put_file("holdout.parquet", frozen.holdout),
            reference=put("reference.json", frozen.reference.to_json()),
            train_rows=frozen.train_rows,
            holdout_rows=frozen.holdout_rows,
            contract_version=model.contract.version,
            contract_sha256=model.contract.digest(),
            spec_sha256=model.spec.digest(),
        )
        return put("manifest.json", manifest.to_json())
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def job_settings(model: DeployedModel) -> dict[str, Any]:
    """What the job is told; it reads plain JSON and knows nothing of these classes."""
    spec = model.spec
    return {
        "schema_version": 1,
        "model": model.id,
        "kind": spec.target.kind.value,
        "target": model.target.name,
        "features": [{"name": column.name, "type": column.type.value} for column in model.features],
        "classes": list(model.classes),
        "estimator": spec.training.estimator,
        "parameters": dict(spec.training.parameters),
        "seed": spec.training.seed,
        "threshold": spec.threshold.strategy,
        "threshold_value": spec.threshold.value,
        "script": spec.training.script,
    }


def script(model: DeployedModel) -> str | None:
    """The user's own training script, as it was deployed with the model."""
    if model.spec.training.script is None:
        return None
    return importlib.resources.files("interlock_models").joinpath(f"{model.id}.py").read_text("utf-8")


def _fitting(
    data: Objects, model: DeployedModel, datasets: list[Dataset], scratch: Path
) -> tuple[list[Local], list[Dataset]]:
    """Fetch the datasets; those that were admitted under another contract and lack a column are skipped."""
    used: list[Local] = []
    skipped: list[Dataset] = []
    for number, dataset in enumerate(datasets):
        train = data.get_files(data.listed(dataset.train), scratch / f"{number}-0-train")
        holdout = data.get_files(data.listed(dataset.holdout), scratch / f"{number}-1-holdout")
        if dataset.contract_sha256 == model.contract.digest() or all(fits(model, path) for path in (*train, *holdout)):
            used.append(Local(dataset, train, holdout))
        else:
            skipped.append(dataset)
            logger.warning("dataset does not fit the contract", dataset=dataset.id, admitted=dataset.contract_version)
    if not used:
        raise TrainingFailed(
            f"{model.id}: none of the {len(datasets)} admitted datasets has the columns of contract "
            f"{model.contract.version}",
            remedy=f"Upload data under incoming/{model.id}/ that fits contract.yaml.",
        )
    return used, skipped
