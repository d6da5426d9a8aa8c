"""Where everything lies in S3: the one place that knows the layout.

Data bucket: incoming, parts, sets, datasets, quarantine, training, captures, labels, reports, score, scoring,
predictions.
Artefacts bucket: jobs (what SageMaker writes) and models (what is served).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date, datetime

from interlock.errors import InvalidUpload
from interlock.spec import MODEL_ID

INCOMING = "incoming/"
# An upload in this folder of a model, or with this word in this entry of its metadata, takes the place of all before.
REFRESH = "refresh"
MODE = "interlock-mode"
# Files of a set lie here, where nothing starts by itself, until a manifest with this ending names them.
PARTS = "parts/"
MANIFEST = ".manifest.json"
# Names in an upload's metadata the claim whose bad rows these are, mended.
ORIGIN = "interlock-origin"
# A file in this folder of a model is answered with its predictions.
SCORE = "score/"


@dataclass(frozen=True)
class Arrived:
    """An object that was put where a workflow starts on it: the version that the event speaks of."""

    bucket: str
    key: str
    version: str
    model: str

    @property
    def claim(self) -> str:
        """Id of the work on exactly these bytes under this key: 16 hexadecimal digits."""
        return _short(f"{self.bucket}/{self.key}@{self.version}")


@dataclass(frozen=True)
class Upload(Arrived):
    """An object that was put under incoming/."""

    @property
    def refreshes(self) -> bool:
        """Whether its key says that it takes the place of all before: `incoming/<model>/refresh/<file>`."""
        return self.key.startswith(f"{INCOMING}{self.model}/{REFRESH}/")

    @property
    def names_a_set(self) -> bool:
        """Whether it is the manifest of a set of files: `incoming/<model>/<name>.manifest.json`."""
        return self.key.endswith(MANIFEST)


def upload(bucket: str, key: str, version: str) -> Upload:
    """Read an upload's model from its key, `incoming/<model>/<file>`.

    Raises:
        InvalidUpload: the key has another form.
    """
    return Upload(bucket, key, version, _model_of(bucket, key, INCOMING))


def asked(bucket: str, key: str, version: str) -> Arrived:
    """Read the model of a file to score from its key, `score/<model>/<file>`.

    Raises:
        InvalidUpload: the key has another form.
    """
    return Arrived(bucket, key, version, _model_of(bucket, key, SCORE))


def run_id(started: datetime, execution: str) -> str:
    """Id of a training run: when it started (UTC) and a hash of its execution; the same at every retry."""
    return f"{started:%Y%m%d-%H%M%S}-{_short(execution)[:6]}"


def job_name(environment: str, model: str, run: str) -> str:
    """Name of the run's SageMaker job: at most 63 of [a-zA-Z0-9-]; deterministic, so a retry finds its job."""
    return f"{environment}-{model}-{run}"


def dataset(model: str, claim: str, name: str) -> str:
    """A file of an upload's good rows: `train.parquet`, `holdout.parquet`, or a list of several as `.json`."""
    return f"datasets/{model}/{claim}/{name}"


def set_part(model: str, name: str, file: str) -> str:
    """A file of a set that is uploaded together."""
    return f"{PARTS}{model}/{name}/{file}"


def work(model: str, claim: str, name: str) -> str:
    """What the steps of a set hand to each other; expires by itself."""
    return f"sets/{model}/{claim}/{name}"


def part(index: int, name: str) -> str:
    """A file's name among those of the other parts of its set."""
    return f"part-{index:05}-{name}"


def quarantine(model: str, claim: str, name: str) -> str:
    """A file of an upload's bad rows."""
    return f"quarantine/{model}/{claim}/{name}"


def report(model: str, stage: str, subject: str, name: str) -> str:
    """A report for people or machines; stage as in the folder names, subject a claim, run or window."""
    return f"reports/{model}/{stage}/{subject}/{name}"


def training(model: str, run: str, name: str) -> str:
    """A frozen input of a run. Only what lies under `channels/` is given to the job."""
    return f"training/{model}/{run}/{name}"


def captures(model: str, day: date, name: str) -> str:
    """A file of captured predictions."""
    return f"captures/model={model}/day={day:%Y-%m-%d}/{name}"


def failures(model: str, day: date, name: str) -> str:
    """A file of calls that a version failed to answer."""
    return f"captures/failed/model={model}/day={day:%Y-%m-%d}/{name}"


def capture_files(model: str) -> tuple[str, str]:
    """Prefixes of all of a model's captures, and of its calls that failed."""
    return f"captures/model={model}/", f"captures/failed/model={model}/"


def labels(model: str, day: date, name: str) -> str:
    """A file of labels that came over HTTPS."""
    return f"labels/{model}/day={day:%Y-%m-%d}/{name}"


def release_tally(model: str, release: str) -> str:
    """What is kept of the calls of a release's step while it bakes."""
    return f"releases/{model}/{release}/seen.parquet"


def label_files(model: str) -> str:
    """Prefix of all of a model's labels: those that came over HTTPS, by day, and files that were uploaded beside."""
    return f"labels/{model}/"


def scoring(model: str, claim: str, name: str) -> str:
    """What the steps of scoring a file hand to each other; expires by itself."""
    return f"scoring/{model}/{claim}/{name}"


def predictions(model: str, claim: str, name: str) -> str:
    """A file of the answer to a file: `result.json`, and `predictions.csv` or `.parquet`."""
    return f"predictions/{model}/{claim}/{name}"


def job_output(model: str) -> str:
    """Prefix under which SageMaker writes `<job>/output/model.tar.gz`."""
    return f"jobs/{model}/"


def artefact(model: str, run: str, name: str) -> str:
    """A file of a trained model, in the artefacts bucket."""
    return f"models/{model}/{run}/{name}"


def _model_of(bucket: str, key: str, folder: str) -> str:
    parts = key.split("/", 2)
    if len(parts) != 3 or parts[0] + "/" != folder or not MODEL_ID.fullmatch(parts[1]) or not parts[2]:
        raise InvalidUpload(
            f"s3://{bucket}/{key} is not of the form {folder}<model>/<file>",
            remedy=f"Put the file under {folder}<model>/; `interlock status` lists the models.",
        )
    return parts[1]


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
