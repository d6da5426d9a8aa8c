"""A whole run in memory, with the real job and the real onnxruntime."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interlock.errors import ChecksumMismatch, TrainingFailed
from interlock.events import ModelRegistered, ModelRejected
from interlock.records import CheckStatus, LiveRelease, ObjectRef, Probe, ServedModel, TrainingManifest, Verdict
from interlock.stats.drift.reference import Reference
from tests.unit.train.world import NOW, RUN, World, model, packed, people
from train.documents import Evaluation, JobAnswer
from train.evaluate import evaluate
from train.gate import decide, read_scores
from train.judgement import judge
from train.register import register
from train.reject import reject


def trained(world: World, folder: Path, kind: str = "binary", run: str = RUN, seed: int = 1, **changes: Any) -> Any:
    """Freeze, launch and train; answers the manifest and what the workflow learned."""
    deployed = model(kind, **changes)
    world.admit(deployed, people(kind, seed=seed), seed)
    manifest = world.freeze(deployed, run)
    name = world.launch(deployed, manifest, f"token-{run}")
    return manifest, JobAnswer.model_validate(world.work(name, folder))


def judged(world: World, manifest: ObjectRef, answer: JobAnswer) -> tuple[ObjectRef, Verdict, ObjectRef]:
    evaluation = evaluate(world.state, world.data, world.artefacts, manifest, answer, 1024)
    verdict, ref = decide(world.data, world.artefacts, manifest, evaluation, NOW)
    return evaluation, verdict, ref


def registered(world: World, *refs: ObjectRef) -> Any:
    return register(world.registry, world.data, world.artefacts, *refs, world.ledger, world.bus, "train-register")


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regression"])
def test_from_datasets_to_a_version(tmp_path: Path, kind: str) -> None:
    world = World()
    manifest, answer = trained(world, tmp_path, kind)
    evaluation, verdict, verdict_ref = judged(world, manifest, answer)
    assert verdict.passed, [check for check in verdict.checks if check.status == "fail"]
    package = registered(world, manifest, evaluation, verdict_ref)
    assert (package.version, package.approval) == (1, "Approved")
    candidate = package.candidate
    served = ServedModel.from_json(world.artefacts.get(candidate.served))
    assert served.version == 1
    assert [item.name for item in served.inputs] == ["age", "hours", "member", "job"]
    by_name = {item.name: item for item in served.inputs}
    assert by_name["job"].categories is not None
    assert set(by_name["job"].categories) == {"nurse", "smith", "clerk", "naïve"}
    assert by_name["age"].categories is None
    assert len(world.artefacts.get(served.onnx)) == served.onnx.size
    reference = Reference.from_json(world.artefacts.get(candidate.reference))
    assert reference.score is not None
    probe = Probe.from_json(world.artefacts.read(f"models/people/{RUN}/probe.json"))
    assert len(probe.scores) == 8
    assert len(probe.labels) == (0 if kind == "regression" else 8)
    lineage = json.loads(world.artefacts.get(package.ref("lineage")))
    assert lineage["pins"]["scikit-learn"]
    assert lineage["job"]["code"] == "s3://assets/0123abcd.zip"
    for page in (
        world.artefacts.get(package.ref("card")),
        world.data.read(f"reports/people/train/{RUN}/report.html"),
    ):
        assert b"</html>" in page
    assert isinstance(world.bus.published[-1], ModelRegistered)
    assert world.ledger.actions("people") == ["model registered"]


def test_registering_twice_makes_one_version(tmp_path: Path) -> None:
    world = World()
    manifest, answer = trained(world, tmp_path, release={"approval": "manual"})
    evaluation, _, verdict = judged(world, manifest, answer)
    # A crash after the package was created, before anything else.
    read = TrainingManifest.from_json(world.data.get(manifest))
    world.registry.create("people", read.run, "", "s3://x", {"manifest": read.id})
    first = registered(world, manifest, evaluation, verdict)
    assert first.approval == "PendingManualApproval"
    assert registered(world, manifest, evaluation, verdict) == first
    assert len(world.registry.packages) == 1
    assert world.ledger.actions("people") == ["model registered"]


def test_a_champion_is_judged_on_the_same_rows(tmp_path: Path) -> None:
    world = World()
    first = trained(world, tmp_path / "1")
    evaluation, _, verdict_ref = judged(world, *first)
    package = registered(world, first[0], evaluation, verdict_ref)
    serve(world, package)
    manifest, answer = trained(world, tmp_path / "2", run="20260302-120000-abcdef", seed=2, features=("member",))
    _, verdict, _ = judged(world, manifest, answer)
    assert verdict.champion_version == 1
    against = {check.id: check for check in verdict.checks if check.id.startswith("champion:")}
    assert against["champion:roc_auc"].status is CheckStatus.FAIL
    assert "not by chance" in against["champion:roc_auc"].reason
    assert (against["champion:roc_auc"].high or 0) < -0.01
    assert not verdict.passed


def test_a_champion_that_predicts_something_else_is_not_compared(tmp_path: Path) -> None:
    world = World()
    first = trained(world, tmp_path / "1", "regression")
    evaluation, _, verdict_ref = judged(world, *first)
    serve(world, registered(world, first[0], evaluation, verdict_ref))
    world.state.items = {key: item for key, item in world.state.items.items() if not key[1].startswith("dataset#")}
    manifest, answer = trained(world, tmp_path / "2", run="20260302-120000-abcdef")
    _, verdict, _ = judged(world, manifest, answer)
    (check,) = [check for check in verdict.checks if check.id == "champion"]
    assert check.status is CheckStatus.WARN
    assert "predicts other classes" in check.reason
    assert verdict.passed


def test_altered_files_are_never_loaded(tmp_path: Path) -> None:
    world = World()
    manifest, answer = trained(world, tmp_path)
    key = answer.artifacts.removeprefix("s3://artefacts/")
    world.artefacts.put(key, packed({"model.onnx": b"another model"}))
    with pytest.raises(ChecksumMismatch, match="altered after the job"):
        evaluate(world.state, world.data, world.artefacts, manifest, answer, 1024)
    world.artefacts.put(key, packed({"../model.onnx": b"", "other": b""}))
    with pytest.raises(TrainingFailed, match=r"holds no model\.onnx"):
        evaluate(world.state, world.data, world.artefacts, manifest, answer, 1024)
    elsewhere = answer.model_copy(update={"artifacts": "s3://somebody-elses/model.tar.gz"})
    with pytest.raises(TrainingFailed, match="outside the artefacts bucket"):
        evaluate(world.state, world.data, world.artefacts, manifest, elsewhere, 1024)


BREAKS: dict[str, Any] = {
    "holdout:rows": lambda e, s: (e.model_copy(update={"holdout_rows": 49}), s),
    "metric:roc_auc": lambda e, s: (e, shuffled(s)),
    "metric:log_loss": lambda e, s: (e, scores(s, challenger=1 - s.challenger)),
    "metric:accuracy": lambda e, s: (e, scores(s, challenger=s.challenger[:, ::-1])),
    "metric:brier": lambda e, s: (e, scores(s, challenger=1 - s.challenger)),
    "metric:calibration_error": lambda e, s: (e, scores(s, challenger=1 - s.challenger)),
    "parity:scores": lambda e, s: (part(e, "parity", rows_over=9), s),
    "parity:labels": lambda e, s: (part(e, "parity", label_flips=3), s),
    "serving:size": lambda e, s: (part(e, "footprint", megabytes=51.0), s),
    "serving:start": lambda e, s: (part(e, "footprint", start_ms=60_001.0), s),
    "serving:memory": lambda e, s: (part(e, "footprint", memory_mb=1025.0), s),
    "fairness:job": lambda e, s: (e, unfair(s)),
}


def test_each_check_turns_when_its_input_is_broken(tmp_path: Path) -> None:
    world = World()
    manifest, answer = trained(world, tmp_path)
    evaluation, verdict, _ = judged(world, manifest, answer)
    good = Evaluation.from_json(world.artefacts.get(evaluation))
    stored = read_scores(world.artefacts.get(good.scores))
    assert {check.id for check in verdict.checks} == {*BREAKS, "champion", "selection:job"}
    for check_id, damage in BREAKS.items():
        found = judge(model(), *damage(good, stored), NOW)
        status = {check.id: check.status for check in found.checks}[check_id]
        assert status is CheckStatus.FAIL, check_id
        assert not found.passed
    few = judge(model(), good, scores(stored, groups={"job": np.full(len(stored.y), "one")}), NOW)
    by_id = {check.id: check.status for check in few.checks}
    assert by_id["fairness:job"] is by_id["selection:job"] is CheckStatus.TOO_FEW
    unequal = {check.id: check for check in judge(model(), good, unfair(stored), NOW).checks}["selection:job"]
    assert unequal.status is CheckStatus.WARN
    assert {group["name"] for group in unequal.evidence["groups"]} == {"a", "b", "c"}


def test_a_refusal_is_told(tmp_path: Path) -> None:
    world = World()
    manifest, answer = trained(world, tmp_path, gate={"min_rows": 50, "metrics": {"roc_auc": {"min": 0.999}}})
    _, verdict, ref = judged(world, manifest, answer)
    assert not verdict.passed
    failed = reject(world.data, ref, world.ledger, world.bus, world.alerts, "train-reject")
    assert [check.id for check in failed] == ["metric:roc_auc"]
    assert isinstance(world.bus.published[-1], ModelRejected)
    assert "at least 0.999" in world.alerts.sent[-1][1]
    assert b"Not registered" in world.data.read(f"reports/people/train/{RUN}/report.html")


def serve(world: World, package: Any) -> None:
    live = LiveRelease(
        model="people",
        revision=1,
        champion=package.candidate,
        state="live",
        changed_at=NOW,
        changed_by="test",
        reason="test",
    )
    world.state.put("model#people", "live", live)


def part(evaluation: Evaluation, name: str, **changes: Any) -> Evaluation:
    return evaluation.model_copy(update={name: getattr(evaluation, name).model_copy(update=changes)})


def scores(stored: Any, **changes: Any) -> Any:
    return type(stored)(**{**vars(stored), **changes})


def shuffled(stored: Any) -> Any:
    return scores(stored, challenger=np.random.default_rng(0).permutation(stored.challenger))


def unfair(stored: Any) -> Any:
    """Of one group nobody is found; a third one is too small to say."""
    groups = np.where(np.arange(len(stored.y)) % 2 == 0, "a", "b")
    groups[:3] = "c"
    found = np.where(groups == "a", 0.99, 0.01)
    return scores(stored, challenger=np.column_stack([1 - found, found]), groups={"job": groups})
