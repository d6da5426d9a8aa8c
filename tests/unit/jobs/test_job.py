import hashlib
import importlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from jobs.train import __main__ as entry
from jobs.train import job, threshold
from jobs.train.container import JobError
from tests.unit.jobs.channels import FEATURES, container, rows, told

ROOT = Path(__file__).parents[3]
CLASSIFIERS = ["logistic_regression", "gradient_boosting", "hist_gradient_boosting", "random_forest"]
REGRESSORS = ["ridge", *CLASSIFIERS[1:]]
CASES = [(kind, name) for kind in ("binary", "multiclass") for name in CLASSIFIERS]
CASES += [("regression", name) for name in REGRESSORS]


def answers(base: Path, holdout: list[tuple[Any, ...]], features: list[dict[str, str]] = FEATURES) -> np.ndarray:
    """The ONNX file's own scores, fed like a serving function feeds it."""
    session = onnxruntime.InferenceSession(base / "model/model.onnx", providers=["CPUExecutionProvider"])
    feeds = {}
    for feature, column in zip(features, zip(*holdout, strict=True), strict=False):
        if feature["type"] == "string":
            feeds[feature["name"]] = np.array([[value or ""] for value in column], dtype=object)
        else:
            feeds[feature["name"]] = np.array([[np.nan if v is None else v] for v in column], dtype=np.float32)
    return session.run(None, feeds)[-1]


def report(base: Path) -> dict[str, Any]:
    return json.loads((base / "output/data/training.json").read_text())


@pytest.mark.parametrize(("kind", "estimator"), CASES)
def test_onnx_answers_as_scikit_learn_does(tmp_path: Path, kind: str, estimator: str) -> None:
    unseen = [*rows(kind, 400, 2), (None, None, None, None, "no"), (30, 0.1 + 0.2, True, "never seen", "no")]
    parameters = {"alpha": 0.5} if estimator == "ridge" else {}
    base = container(tmp_path, told(kind, estimator=estimator, parameters=parameters), rows(kind, 300, 1), unseen)
    job.run(base)
    native = np.load(base / "output/data/scores.npz")["scores"]
    assert native.shape == (402, {"binary": 2, "multiclass": 3, "regression": 1}[kind])
    scale = max(1.0, np.abs(native).max()) if kind == "regression" else 1.0
    assert np.abs(answers(base, unseen) - native).max() / scale < 1e-5
    told_parameters = report(base)["parameters"]
    assert told_parameters["random_state"] == 3
    assert parameters.items() <= told_parameters.items()


def test_threshold_is_chosen_out_of_fold_and_progress_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = container(tmp_path, told(threshold="f1"), rows("binary", 400, 1), rows("binary", 50, 2))
    job.run(base)
    written = report(base)
    assert 0 < written["threshold"] < 1
    assert written["rows"] == 400
    assert written["run"] == "r1"
    lines = capsys.readouterr().out.splitlines()
    assert f"interlock: cv_roc_auc={round(written['cv']['roc_auc'], 6)}" in lines


@pytest.mark.parametrize(
    ("strategy", "value"),
    [
        ("accuracy", lambda y, yes: (y == yes).mean()),
        ("youden", lambda y, yes: yes[y == 1].mean() - yes[y == 0].mean()),
        ("f1", lambda y, yes: 2 * (yes & (y == 1)).sum() / max(1, yes.sum() + y.sum())),
    ],
)
def test_no_other_threshold_is_better(strategy: Any, value: Any) -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 2, 200)
    scores = np.round(np.clip(0.4 * y + random.normal(0.3, 0.2, 200), 0, 1), 2)
    chosen = threshold.best(y, scores, strategy)
    best = max(value(y, scores >= cut) for cut in np.linspace(0, 1.01, 500))
    assert value(y, scores >= chosen) == pytest.approx(best)


def test_column_names_stay_and_clash_with_nothing(tmp_path: Path) -> None:
    names = ["label", "a b", "a_b", "probabilities"]
    features = [{**feature, "name": name} for feature, name in zip(FEATURES, names, strict=True)]
    unseen = rows("binary", 60, 2)
    base = container(tmp_path, told(features=features), rows("binary", 200, 1), unseen)
    job.run(base)
    native = np.load(base / "output/data/scores.npz")["scores"]
    assert np.abs(answers(base, unseen, features) - native).max() < 1e-5


SCRIPT = """
from sklearn.impute import SimpleImputer
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

def pipeline(settings):
    chosen = ColumnTransformer([("n", SimpleImputer(), ["age"])])
    return make_pipeline(chosen, LogisticRegression(C=0.1, random_state=settings.seed))
"""


def test_a_script_of_ones_own_replaces_the_pipeline(tmp_path: Path) -> None:
    unseen = rows("binary", 60, 2)
    base = container(tmp_path, told(script="train.py"), rows("binary", 200, 1), unseen)
    (base / "input/data/settings/train.py").write_text(SCRIPT)
    job.run(base)
    assert report(base)["estimator"] == "train.py"
    native = np.load(base / "output/data/scores.npz")["scores"]
    assert np.abs(answers(base, unseen) - native).max() < 1e-5


@pytest.mark.parametrize(
    ("script", "told_so"),
    [
        (
            "def pipeline(settings):\n    raise ValueError('no such column: salary')",
            "train.py (line 2) raised ValueError: no such",
        ),
        ("import nonsense_that_is_not_there", "train.py (line 1) raised ModuleNotFoundError"),
        ("def pipeline(settings): return 3", "answered int"),
        ("x = 1", "has no function pipeline"),
    ],
)
def test_a_failing_script_says_so_itself(tmp_path: Path, script: str, told_so: str) -> None:
    base = container(tmp_path, told(script="train.py"), rows("binary", 50, 1), rows("binary", 5, 2))
    (base / "input/data/settings/train.py").write_text(script)
    with pytest.raises(JobError) as caught:
        job.run(base)
    assert told_so in str(caught.value)
    assert "people" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told_so"),
    [
        ({"estimator": "ridge"}, "cannot predict a binary target; choose one of logistic_regression"),
        ({"parameters": {"depth": 3}}, "has no parameter depth; it has"),
        ({"parameters": {"max_iter": -3}}, "raised InvalidParameterError"),
        ({"classes": ["no", "yes", "perhaps"]}, "no training row has y = perhaps"),
        ({"classes": ["no"]}, "training rows have y = yes"),
        ({"script": "gone.py"}, "gone.py is not in the settings channel"),
    ],
)
def test_what_cannot_be_trained_is_told(tmp_path: Path, changes: dict[str, Any], told_so: str) -> None:
    base = container(tmp_path, told(**changes), rows("binary", 80, 1), rows("binary", 5, 2))
    with pytest.raises(JobError, match="people") as caught:
        job.run(base)
    assert told_so in str(caught.value)


def test_an_empty_training_set_and_an_identifier_are_told(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="no training rows"):
        job.run(container(tmp_path / "a", told(), [], rows("binary", 5, 2)))
    many = [(*row[:3], f"id-{index}", row[4]) for index, row in enumerate(rows("binary", 1100, 1))]
    with pytest.raises(JobError, match="'job' has 1100 different values"):
        job.run(container(tmp_path / "b", told(), many, rows("binary", 5, 2)))


def shipped(base: Path) -> Path:
    """The code and wheelhouse channels as the deployment makes them."""
    for channel in ("code", "wheelhouse"):
        (base / "input/data" / channel).mkdir()
    code = base / "input/data/code/asset.zip"
    with zipfile.ZipFile(code, "w") as archive:
        archive.write(ROOT / "jobs/train/__main__.py", "__main__.py")
        for path in sorted((ROOT / "jobs").rglob("*.py")):
            archive.write(path, path.relative_to(ROOT))
    with zipfile.ZipFile(base / "input/data/wheelhouse/asset.zip", "w") as archive:
        archive.writestr("requirements.txt", "numpy==" + np.__version__ + " \\\n    --hash=sha256:00\n")
    return code


def start(base: Path, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SAGEMAKER_BASE_DIR": str(base), "PYTHONHASHSEED": hash_seed}
    return subprocess.run(
        [sys.executable, shipped(base)], env=environment, cwd=base, capture_output=True, text=True, check=False
    )


def test_the_zip_trains_the_same_bytes_in_another_process(tmp_path: Path) -> None:
    settings, data = told(), (rows("binary", 100, 1), rows("binary", 5, 2))
    done = start(container(tmp_path / "zip", settings, *data), hash_seed="4")
    assert done.returncode == 0, done.stderr
    assert "interlock: rows=100" in done.stdout
    assert not (tmp_path / "zip/output/failure").exists()
    job.run(container(tmp_path / "here", settings, *data))
    assert report(tmp_path / "zip")["onnx_sha256"] == report(tmp_path / "here")["onnx_sha256"]


def test_the_container_leaves_its_reason(tmp_path: Path) -> None:
    done = start(container(tmp_path, told(parameters={"depth": 3}), rows("binary", 100, 1), rows("binary", 5, 2)))
    assert done.returncode == 1
    reason = (tmp_path / "output/failure").read_text()
    assert reason.startswith("people: model.yaml's training.estimator 'hist_gradient_boosting' has no parameter depth")
    assert len(reason) < 1024
    assert "\n" not in reason


def test_pins_that_are_not_met_are_installed_from_the_wheelhouse_alone(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "wheels.zip", "w") as archive:
        archive.writestr("requirements.txt", f"numpy==0.0.1 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(RuntimeError, match="do not install under Python"):
        entry.install(tmp_path)
    with pytest.raises(RuntimeError, match="holds 0 zip files"):
        entry.install(tmp_path / "none")


def test_a_wheel_of_the_wheelhouse_comes_first_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "tiny_thing-1.2-py3-none-any.whl"
    info = "tiny_thing-1.2.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_thing.py", "value = 12")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-thing\nVersion: 1.2\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    (tmp_path / "channel").mkdir()
    with zipfile.ZipFile(tmp_path / "channel/wheels.zip", "w") as archive:
        archive.write(wheel, wheel.name)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        archive.writestr("requirements.txt", f"tiny-thing==1.2 \\\n    --hash=sha256:{digest}\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    entry.install(tmp_path / "channel")
    assert importlib.import_module("tiny_thing").value == 12


def test_a_pin_for_other_machines_may_be_absent() -> None:
    assert entry.satisfied(
        f"numpy=={np.__version__} \\\n    --hash=sha256:00\nnot-here==1.0 ; sys_platform == 'win32' \\\n"
    )
    assert not entry.satisfied("not-here==1.0 \\\n")
    assert not entry.satisfied("numpy==0.1 ; sys_platform == 'linux' \\\n")
