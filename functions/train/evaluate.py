"""Scores the job's ONNX file on the holdout, where no scikit-learn is, and the champion's on the same rows."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.live import live_release
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.errors import ChecksumMismatch, TrainingFailed
from interlock.inference import headline, places
from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.observability import logger, observed
from interlock.records import Input, ObjectRef, ServedModel, TrainingManifest
from interlock.settings import ArtefactsBucket, DataBucket, StateTable
from interlock.signature import signature
from interlock.stats.drift.reference import CategoryReference, Reference, category_reference, number_reference
from train import footprint, scoring
from train.documents import ChampionScored, Evaluation, Footprint, JobAnswer, JobReport
from train.expected import expected
from train.scoring import Array, Holdout

# Lambda gives a whole processor at this size and a share of one below it.
_WHOLE_PROCESSOR_MB = 1769
_LARGEST_MEMBER = 1 << 30


class Settings(DataBucket, ArtefactsBucket, StateTable):
    """What this function uses."""

    serve_memory: int


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """{model, run, manifest, job} → {evaluation}.

    Raises:
        ChecksumMismatch: the stored model is not the one that the job wrote.
        TrainingFailed: the job's output is not there or does not fit the holdout.
    """
    settings = Settings.load()
    logger.append_keys(model=event["model"], run=event["run"])
    evaluation = evaluate(
        State(settings.state_table),
        Objects(settings.data_bucket),
        Objects(settings.artefacts_bucket),
        ObjectRef.model_validate(event["manifest"]),
        JobAnswer.model_validate(event["job"]),
        settings.serve_memory,
    )
    return {"evaluation": evaluation.model_dump(mode="json")}


def evaluate(
    state: State, data: Objects, artefacts: Objects, manifest_ref: ObjectRef, job: JobAnswer, serve_memory: int
) -> ObjectRef:
    """Write model.onnx, scores.npz, probe.json, reference.json and evaluation.json under the run; answers the last.

    Raises:
        ChecksumMismatch, TrainingFailed: as the handler.
    """
    with tempfile.TemporaryDirectory(prefix="evaluate-") as scratch:
        return _evaluate(state, data, artefacts, manifest_ref, job, serve_memory, Path(scratch))


def _evaluate(
    state: State,
    data: Objects,
    artefacts: Objects,
    manifest_ref: ObjectRef,
    job: JobAnswer,
    serve_memory: int,
    scratch: Path,
) -> ObjectRef:
    manifest = TrainingManifest.from_json(data.get(manifest_ref))
    model = DeployedModel.from_json(data.get(manifest.settings))
    onnx, report, native = _output(artefacts, job, scratch)
    holdout = Holdout(data.get_file(manifest.holdout, scratch / "holdout.parquet"))
    if manifest.holdout_rows != len(native) or not len(native):
        raise TrainingFailed(
            f"{model.id}: the job scored {len(native)} held-out rows of {manifest.holdout_rows}",
            remedy="Upload more labelled data, or retry the run.",
        )
    feeds = holdout.feeds(signature(model))
    challenger = scoring.run(onnx, feeds)
    measured = _measure(onnx, feeds, scratch, serve_memory)
    kind, threshold = model.spec.target.kind, report.threshold
    tolerance = model.spec.gate.parity.max_difference
    champion, champion_scores = _champion(state, artefacts, model, holdout)
    y = holdout.target(model)
    groups = {limit.column: holdout.group(limit.column) for limit in model.spec.gate.fairness}
    reference = Reference.from_json(data.get(manifest.reference)).model_copy(
        update={
            "score": number_reference(headline(kind, challenger), detailed=True),
            "label": _labels(model, challenger, threshold),
        }
    )
    reference = reference.model_copy(update={"expected": expected(model, reference, feeds, y, challenger, threshold)})

    def put(name: str, body: bytes, content_type: str = "application/json") -> ObjectRef:
        return artefacts.put(keys.artefact(model.id, manifest.run, name), body, content_type)

    evaluation = Evaluation(
        model=model.id,
        run=manifest.run,
        manifest_id=manifest.id,
        kind=kind,
        threshold=threshold,
        inputs=tuple(_binned(item, reference) for item in signature(model)),
        job=job,
        report=report,
        onnx=put("model.onnx", onnx, "application/octet-stream"),
        scores=put(
            "scores.npz", scoring.write_scores(y, challenger, champion_scores, groups), "application/octet-stream"
        ),
        probe=put("probe.json", scoring.probe(model, holdout, challenger, threshold).to_json().encode()),
        reference=put("reference.json", reference.to_json().encode()),
        parity=scoring.compare(kind, challenger, native, threshold, tolerance),
        footprint=measured,
        champion=champion,
        holdout_rows=len(native),
        onnxruntime=onnxruntime.__version__,
    )
    return put("evaluation.json", evaluation.to_json().encode())


def _output(artefacts: Objects, job: JobAnswer, scratch: Path) -> tuple[bytes, JobReport, Array]:
    """The job's ONNX file, report and scores.

    Raises:
        ChecksumMismatch: the ONNX file is not the one that the report speaks of.
    """
    onnx = _member(artefacts, job.artifacts, "model.onnx", scratch)
    report = JobReport.from_json(_member(artefacts, job.output, "training.json", scratch))
    found = hashlib.sha256(onnx).hexdigest()
    if found != report.onnx_sha256:
        raise ChecksumMismatch(
            f"{job.artifacts}: model.onnx has sha256 {found[:12]}…, the job wrote {report.onnx_sha256[:12]}…; "
            "it was altered after the job and is not loaded"
        )
    with np.load(io.BytesIO(_member(artefacts, job.output, "scores.npz", scratch))) as stored:
        return onnx, report, stored["scores"]


def _member(artefacts: Objects, uri: str, name: str, scratch: Path) -> bytes:
    """One file of a job's tar.gz; nothing is unpacked to a path that the archive chose."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if bucket != artefacts.bucket:
        raise TrainingFailed(f"the job's output {uri} lies outside the artefacts bucket")
    path = scratch / key.rsplit("/", 1)[-1]
    if not path.exists():
        artefacts.download(key, path)
    with tarfile.open(path, "r:gz") as archive:
        for member in archive:
            if member.isfile() and member.name.removeprefix("./") == name and member.size <= _LARGEST_MEMBER:
                file = archive.extractfile(member)
                if file is not None:
                    return file.read()
    raise TrainingFailed(f"{uri} holds no {name}; read the job's log")


def _measure(onnx: bytes, feeds: dict[str, Array], scratch: Path, serve_memory: int) -> Footprint:
    model, row = scratch / "model.onnx", scratch / "row.npz"
    model.write_bytes(onnx)
    # By number: a column may have any name, also one that savez keeps for itself. Texts become fixed-width.
    arrays: dict[str, Any] = {
        f"input{place}": values[:1].astype(np.str_) if values.dtype == object else values[:1]
        for place, values in enumerate(feeds.values())
    }
    np.savez(row, names=np.array(list(feeds)), **arrays)
    found = footprint.measure(model, row)
    slower = max(1.0, _WHOLE_PROCESSOR_MB / serve_memory)
    return Footprint(
        megabytes=len(onnx) / 1e6,
        start_ms=found["start_ms"] * slower,
        row_ms=found["row_ms"] * slower,
        memory_mb=found["memory_mb"],
        function_mb=serve_memory,
    )


def _champion(
    state: State, artefacts: Objects, model: DeployedModel, holdout: Holdout
) -> tuple[ChampionScored | None, Array | None]:
    """The serving version's scores on the same rows, if it answers the same question."""
    live = live_release(state, model.id)
    if live is None or live.champion is None:
        return None, None
    served = ServedModel.from_json(artefacts.get(live.champion.served))
    reason = ""
    if (served.kind, served.classes) != (model.spec.target.kind, model.classes):
        reason = "it predicts other classes"
    elif missing := [item.name for item in served.inputs if item.name not in holdout.columns]:
        reason = f"it needs columns that the contract no longer has: {', '.join(missing)}"
    scored = ChampionScored(
        version=served.version, run=served.run, threshold=served.threshold, comparable=not reason, reason=reason
    )
    if reason:
        return scored, None
    return scored, scoring.run(artefacts.get(served.onnx), holdout.feeds(served.inputs))


def _labels(model: DeployedModel, scored: Array, threshold: float | None) -> CategoryReference | None:
    """How often each class is predicted on the holdout; a regression predicts none."""
    kind = model.spec.target.kind
    if kind is Kind.REGRESSION:
        return None
    found = np.bincount(places(kind, scored, threshold), minlength=len(model.classes))
    return category_reference(list(zip(model.classes, found.tolist(), strict=True)), 0)


def _binned(item: Input, reference: Reference) -> Input:
    """A restricted input with the bins in which its values are captured."""
    if not item.restricted:
        return item
    if item.name in reference.numbers:
        return item.model_copy(update={"edges": reference.numbers[item.name].edges})
    return item.model_copy(update={"categories": reference.categories[item.name].categories})
