"""Gives a run that passed the gate its version, and writes all that serving and people need of it.

The package is created first, because every file names its version; then the files; then the package is completed. A
repeat after a crash finds the package by its run and goes on.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.bus import EventBus
from interlock.aws.ledger import Ledger
from interlock.aws.objects import Objects
from interlock.aws.registry import Approval, Package, Registry, file_metadata
from interlock.events import ModelRegistered
from interlock.ledger import Decision
from interlock.models import DeployedModel
from interlock.observability import logger, metrics, observed
from interlock.records import ObjectRef, ServedModel, TrainingManifest, Verdict
from interlock.report import page
from interlock.settings import ArtefactsBucket, Bus, DataBucket, LedgerTable
from train.card import card, lineage
from train.documents import Evaluation

_APPROVALS: dict[Literal["automatic", "manual"], Approval] = {
    "automatic": "Approved",
    "manual": "PendingManualApproval",
}


class Settings(DataBucket, ArtefactsBucket, LedgerTable, Bus):
    """What this function uses."""

    package_group_prefix: str


@observed
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """{model, run, manifest, evaluation, verdict, job} → {version, package_arn, approval}."""
    settings = Settings.load()
    logger.append_keys(model=event["model"], run=event["run"])
    data, artefacts = Objects(settings.data_bucket), Objects(settings.artefacts_bucket)
    package = register(
        Registry(settings.package_group_prefix),
        data,
        artefacts,
        ObjectRef.model_validate(event["manifest"]),
        ObjectRef.model_validate(event["evaluation"]),
        ObjectRef.model_validate(event["verdict"]),
        Ledger(settings.ledger_table),
        EventBus(settings.bus_name),
        context.function_name,
    )
    metrics.add_dimension(name="model", value=event["model"])
    metrics.add_metric(name="ModelsRegistered", unit=MetricUnit.Count, value=1)
    return {"version": package.version, "package_arn": package.arn, "approval": package.approval}


def register(
    registry: Registry,
    data: Objects,
    artefacts: Objects,
    manifest_ref: ObjectRef,
    evaluation_ref: ObjectRef,
    verdict_ref: ObjectRef,
    ledger: Ledger,
    bus: EventBus,
    actor: str,
) -> Package:
    """Register a run; done again, it answers the same version."""
    manifest = TrainingManifest.from_json(data.get(manifest_ref))
    model = DeployedModel.from_json(data.get(manifest.settings))
    evaluation = Evaluation.from_json(artefacts.get(evaluation_ref))
    verdict = Verdict.from_json(data.get(verdict_ref))
    approval = model.spec.release.approval
    values = {check.id: check.value for check in verdict.checks}
    package = registry.create(
        model.id,
        manifest.run,
        " ".join(model.spec.description.split()) or model.id,
        evaluation.onnx.uri,
        {
            "manifest": manifest.id,
            "approval": approval,
            "onnx.sha256": evaluation.onnx.sha256,
            **{
                name: f"{values[f'metric:{name}']:.6g}"
                for name in model.spec.gate.metrics
                if values.get(f"metric:{name}") is not None
            },
        },
    )
    if not package.complete:
        files = _write(artefacts, model, manifest, evaluation, verdict, package.version)
        metadata = {name: value for file, ref in files.items() for name, value in file_metadata(file, ref).items()}
        package = registry.complete(package, metadata, _APPROVALS[approval])
    ledger.append(
        Decision(
            model=model.id,
            key=f"registered:{manifest.run}",
            stage="train",
            action="model registered",
            subject=f"version {package.version}",
            actor=actor,
            evidence={
                "run": manifest.run,
                "package": package.arn,
                "approval": approval,
                "verdict": verdict_ref.uri,
                "lineage": package.metadata["lineage.uri"],
                "lineage_sha256": package.metadata["lineage.sha256"],
                "onnx_sha256": evaluation.onnx.sha256,
                "checks": {check.id: check.status.value for check in verdict.checks},
                "billable_seconds": evaluation.job.billable_seconds,
            },
        )
    )
    bus.publish(
        ModelRegistered(
            model=model.id, version=package.version, run=manifest.run, package_arn=package.arn, approval=approval
        )
    )
    return package


def _write(
    artefacts: Objects,
    model: DeployedModel,
    manifest: TrainingManifest,
    evaluation: Evaluation,
    verdict: Verdict,
    version: int,
) -> dict[str, ObjectRef]:
    """Write the version's files; answers them by the names that the package gives them."""

    def put(name: str, body: str, content_type: str = "application/json") -> ObjectRef:
        return artefacts.put(keys.artefact(model.id, manifest.run, name), body.encode(), content_type)

    described = card(model, manifest, evaluation, verdict, version)
    put("card.json", json.dumps(described, indent=1))
    served = ServedModel(
        model=model.id,
        version=version,
        run=manifest.run,
        kind=evaluation.kind,
        inputs=evaluation.inputs,
        classes=model.classes,
        threshold=evaluation.threshold,
        onnx=evaluation.onnx,
        contract_version=manifest.contract_version,
        description=model.spec.description,
    )
    return {
        "served": put("served.json", served.to_json()),
        "reference": evaluation.reference,
        "lineage": put("lineage.json", json.dumps(lineage(model, manifest, evaluation, verdict, version), indent=1)),
        "card": put("card.html", page("model-card", card=described), "text/html"),
    }
