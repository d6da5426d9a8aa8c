"""What a version is: the model card for people and machines, and its lineage.

After Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

from __future__ import annotations

from typing import Any

from interlock.models import DeployedModel
from interlock.records import TrainingManifest, Verdict
from train.documents import Evaluation


def card(
    model: DeployedModel, manifest: TrainingManifest, evaluation: Evaluation, verdict: Verdict, version: int
) -> dict[str, Any]:
    """The model card, as plain JSON values."""
    spec, report = model.spec, evaluation.report
    return {
        "schema_version": 1,
        "model": model.id,
        "version": version,
        "run": manifest.run,
        "description": spec.description,
        "predicts": {
            "column": model.target.name,
            "kind": spec.target.kind.value,
            "classes": list(model.classes),
            "positive": spec.target.positive,
            "threshold": evaluation.threshold,
            "threshold_strategy": spec.threshold.strategy,
        },
        "inputs": [
            {
                "name": column.name,
                "type": column.type.value,
                "required": column.required,
                "restricted": column.restricted,
                "description": column.description,
            }
            for column in model.features
        ],
        "training": {
            "estimator": report.estimator,
            "parameters": report.parameters,
            "seed": report.seed,
            "rows": manifest.train_rows,
            "datasets": list(manifest.datasets),
            "contract_version": manifest.contract_version,
            "seconds": report.seconds,
            "out_of_fold": report.cv,
        },
        "evaluation": {
            "rows": evaluation.holdout_rows,
            "decided_at": verdict.decided_at.isoformat(),
            "champion_version": verdict.champion_version,
            "checks": [check.model_dump(mode="json") for check in verdict.checks],
        },
        "serving": evaluation.footprint.model_dump(mode="json"),
        "limitations": [
            "It was judged on held-out rows of the same uploads: on people or times unlike them it may do worse.",
            "Numbers are read as float32: whole numbers beyond 16,777,216 lose digits.",
            "Where a group is marked as too few, nothing is known about how it is served.",
        ],
    }


def lineage(
    model: DeployedModel, manifest: TrainingManifest, evaluation: Evaluation, verdict: Verdict, version: int
) -> dict[str, Any]:
    """Everything a version was made of, by object version and sha256, as plain JSON values."""
    dumped = manifest.model_dump(mode="json")
    return {
        "schema_version": 1,
        "model": model.id,
        "version": version,
        "run": manifest.run,
        "manifest": manifest.id,
        "datasets": dumped["datasets"],
        "skipped_datasets": dumped["skipped"],
        "sources": dumped["sources"],
        "train": dumped["train"],
        "holdout": dumped["holdout"],
        "contract": {"version": manifest.contract_version, "sha256": manifest.contract_sha256},
        "settings": {"sha256": manifest.spec_sha256, "document": dumped["settings"]},
        "estimator": evaluation.report.estimator,
        "parameters": evaluation.report.parameters,
        "seed": evaluation.report.seed,
        "threshold": evaluation.threshold,
        "job": evaluation.job.model_dump(mode="json"),
        "pins": {
            "python": evaluation.report.python,
            **evaluation.report.libraries,
            "onnxruntime": evaluation.onnxruntime,
        },
        "onnx": evaluation.onnx.model_dump(mode="json"),
        "reference": evaluation.reference.model_dump(mode="json"),
        "champion_at_the_time": verdict.champion_version,
    }
