"""A version as one folder that answers the same without AWS: model, papers, checksums and a server of the same code."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from cli import evidence, releases
from cli.target import Target
from interlock import keys
from interlock.aws.registry import Package
from interlock.errors import InvalidRequest
from interlock.models import DeployedModel
from interlock.records import LiveRelease, ServedModel, TrainingManifest
from localcloud.supervisor import ROOT

# Installed without their declared dependencies: these are all that the server imports.
_PINS = ("layers/numeric/requirements.txt", "layers/onnx/requirements.txt", "requirements/server.txt")
_CODE = {"serve": ROOT / "functions/serve", "interlock": ROOT / "layers/core/interlock"}

_DOCKERFILE = """\
FROM python:3.13-slim
WORKDIR /srv
COPY requirements.txt .
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.txt
COPY model model
COPY server server
USER nobody
EXPOSE 8080
CMD ["uvicorn", "serve.asgi:app", "--app-dir", "server", "--host", "0.0.0.0", "--port", "8080", "--no-access-log"]
"""
_README = """\
# {model}, version {version}
{description}

What this is: the model as it was registered (run {run}), with its papers and a server that answers as Interlock does on
AWS (Open Inference Protocol V2), from this folder alone. It was exported at revision {revision} of the live release.

    sha256sum -c SHA256SUMS
    pip install --no-deps --require-hashes -r requirements.txt
    uvicorn serve.asgi:app --app-dir server --host 127.0.0.1 --port 8080

or `docker build -t {model} . && docker run -p 8080:8080 {model}`. Then:

    curl localhost:8080/v2/models/{model}

The server asks nobody who is calling: put it behind something that does. Answers are not captured unless
INTERLOCK_CAPTURES is set; then a line each goes to standard output.

| file | |
|---|---|
| model/model.onnx | the model, preprocessing inside |
| model/served.json | inputs, classes, threshold, and the checksum that the server holds the ONNX file against |
| model/contract.json | what its data has to be |
| model/card.html, card.json | the model card |
| model/lineage.json | what it was made from |
| model/probe.json | a few rows with the answers that evaluation got |
| model/release.json | which version this is |
"""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    folder: str
    model: str
    version: int
    files: int


def export(target: Target, model: str, version: int | None, folder: Path) -> Exported:
    """Write a version's folder.

    Args:
        target: the cloud that it is in.
        model: the model's id.
        version: which; None for the champion.
        folder: must not exist yet, or be empty.

    Raises:
        InvalidRequest: there is no such version, or something lies in the folder.
        ChecksumMismatch: a stored file is not the recorded one.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InvalidRequest(f"{folder} is not empty", remedy="Name another folder.")
    live = evidence.live(target, model)
    package = releases.package(target, _arn(target, model, version, live))
    parts = _parts(target, model, package, live.revision if live else 0)
    served = ServedModel.from_json(parts["served.json"])
    write(folder, parts, served)
    return Exported(str(folder), model, served.version, sum(1 for path in folder.rglob("*") if path.is_file()))


def write(folder: Path, parts: dict[str, bytes], served: ServedModel) -> None:
    """Lay the folder out: the model's files, the server's code, pins, Dockerfile, checksums."""
    for name, body in parts.items():
        _put(folder / "model" / name, body)
    for name, source in _CODE.items():
        shutil.copytree(source, folder / "server" / name, ignore=shutil.ignore_patterns("__pycache__"))
    _put(folder / "requirements.txt", b"\n".join((ROOT / path).read_bytes() for path in _PINS))
    _put(folder / "Dockerfile", _DOCKERFILE.encode())
    revision = json.loads(parts["release.json"])["revision"]
    readme = _README.format(
        model=served.model,
        version=served.version,
        run=served.run,
        description=served.description or "A model exported from Interlock.",
        revision=revision,
    )
    _put(folder / "README.md", readme.encode())
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in files
    )
    _put(folder / "SHA256SUMS", sums.encode())


def _arn(target: Target, model: str, version: int | None, live: LiveRelease | None) -> str:
    if version is None and live is not None and live.champion is not None:
        return live.champion.package_arn
    if version is None:
        raise InvalidRequest(f"nothing serves for '{model}'", remedy="Name a version: --version 1.")
    there = releases.versions(target, model)
    if version not in there:
        known = ", ".join(map(str, sorted(there))) or "none"
        raise InvalidRequest(f"'{model}' has no version {version}", remedy=f"Registered are: {known}.")
    return there[version]


def _parts(target: Target, model: str, package: Package, revision: int) -> dict[str, bytes]:
    """The model's own files, by name, each held against its recorded checksum."""
    run = package.metadata["run"]
    served_ref = package.ref("served")
    served = target.artefacts.get(served_ref)
    card = package.ref("card")
    settings = TrainingManifest.from_json(target.data.raw(keys.training(model, run, "manifest.json"))).settings
    contract = DeployedModel.from_json(target.data.get(settings)).contract
    release = {
        "schema_version": 1,
        "model": model,
        "revision": revision,
        "champion": {"version": package.version, "served": served_ref.model_dump(mode="json")},
    }
    return {
        "served.json": served,
        "model.onnx": target.artefacts.get(ServedModel.from_json(served).onnx),
        "card.html": target.artefacts.get(card),
        "card.json": target.artefacts.raw(keys.artefact(model, run, "card.json")),
        "lineage.json": target.artefacts.get(package.ref("lineage")),
        "probe.json": target.artefacts.raw(keys.artefact(model, run, "probe.json")),
        "contract.json": json.dumps(contract.model_dump(mode="json"), indent=1).encode(),
        "release.json": json.dumps(release, indent=1).encode(),
    }


def _put(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
