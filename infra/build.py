"""Everything that is deployed beside the functions' own code: layers, the models' documents, the training job.

Nothing here needs Docker. Wheels are chosen for Lambda's (or SageMaker's) Python and platform from hash-pinned
requirements, stripped of what is never imported, and kept under `build/` by the hash of what they were made from:
a second build does nothing.

    python -m infra.build --target local|aws
"""

from __future__ import annotations

import argparse
import compileall
import hashlib
import py_compile
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from interlock.errors import DependencyUnavailable, InvalidSettings
from interlock.folder import model_folders, read_model

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
LAYERS = ("core", "numeric", "onnx", "tabular", "models")
_KEPT_SECONDS = 86_400
MAX_UNZIPPED = 262_144_000  # AWS's quota for a function with its layers, in bytes

# Never imported at run time; onnxruntime's tools and its second copy of the runtime alone are half of its wheel.
_STRIPPED = (
    "**/tests",
    "**/test",
    "**/*.pyi",
    "**/include",
    "**/__pycache__",
    "bin",
    "numpy/f2py",
    "numpy/_pyinstaller",
    "onnxruntime/transformers",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/backend",
    "onnxruntime/datasets",
    "onnxruntime/capi/libonnxruntime.so*",
    "flatbuffers",
    "google",
    "packaging",
    "sympy",
    "mpmath",
)


@dataclass(frozen=True)
class Platform:
    """For which Python and machine wheels are chosen."""

    python: str
    wheels: str


Target = Literal["local", "aws"]
LAMBDA = {
    "aws": Platform(python="3.14", wheels="x86_64-manylinux_2_28"),
    "local": Platform(python=f"{sys.version_info.major}.{sys.version_info.minor}", wheels=""),
}
# SageMaker's prebuilt scikit-learn image 1.4-2: Ubuntu 24.04, Python 3.12.
_CONTAINER = Platform(python="3.12", wheels="x86_64-manylinux_2_28")


@dataclass(frozen=True)
class Artefacts:
    """Where the built things lie: a folder a layer, the job's folder, and the wheelhouse's."""

    layers: dict[str, Path]
    job: Path
    wheelhouse: Path

    def unzipped(self, layers: Iterable[str], code: Path) -> dict[str, int]:
        """Bytes of a function's code and of each of its layers."""
        return {"code": _size(code)} | {name: _size(self.layers[name]) for name in layers}


def build(target: Target, models: Path = ROOT / "models", progress: Callable[[str], None] = print) -> Artefacts:
    """Build what is missing and answer where everything lies.

    Raises:
        DependencyUnavailable: the installer failed, mostly because the package index was not reached.
        InvalidSpec, InvalidContract: a folder of models/ is wrong.
    """
    made = Artefacts(
        layers={name: _layer(name, target, models, progress) for name in LAYERS},
        job=_made("job", "job", _sources(ROOT / "jobs"), _job, progress),
        wheelhouse=_wheelhouse(target, progress),
    )
    _forget_older(made)
    return made


def check_size(function: str, sizes: dict[str, int]) -> None:
    """Refuse a function that AWS would refuse.

    Raises:
        InvalidSettings: code and layers are over 250 MB unzipped; lists the sizes.
    """
    if sum(sizes.values()) > MAX_UNZIPPED:
        listed = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in sizes.items())
        raise InvalidSettings(
            f"{function} is {sum(sizes.values()) / 1e6:.0f} MB unzipped, over AWS's {MAX_UNZIPPED / 1e6:.0f}: {listed}",
            remedy="Take a layer away from this function, or strip more in infra/build.py.",
        )


def _layer(name: str, target: Target, models: Path, progress: Callable[[str], None]) -> Path:
    here = LAMBDA[target]
    pins = ROOT / "layers" / name / "requirements.txt"
    inputs = [here.python.encode(), here.wheels.encode()]

    def make(folder: Path) -> None:
        python = folder / "python"
        if pins.exists():
            _install(pins, python, here)
            _strip(python)
        if name == "core":
            shutil.copytree(ROOT / "layers/core/interlock", python / "interlock", ignore=_ignored)
        if name == "models":
            (python / "interlock_models").mkdir(parents=True)
            (python / "interlock_models/__init__.py").touch()
            for path in model_folders(models):
                model = read_model(path)
                (python / "interlock_models" / f"{model.id}.json").write_text(model.to_json(), "utf-8")
                if model.spec.training.script:
                    shutil.copy(path / model.spec.training.script, python / "interlock_models" / f"{model.id}.py")
        if here.python == f"{sys.version_info.major}.{sys.version_info.minor}":
            _compile(python)

    if pins.exists():
        inputs.append(pins.read_bytes())
    if name == "core":
        inputs += _sources(ROOT / "layers/core/interlock")
    if name == "models":
        inputs += _sources(models, suffixes=(".yaml", ".py"))
        inputs += _sources(ROOT / "layers/core/interlock")
    return _made(f"layers/{target}", name, inputs, make, progress)


def _wheelhouse(target: Target, progress: Callable[[str], None]) -> Path:
    """The job's wheels for SageMaker's image; on a laptop the pins alone, since its `image` is made from them."""
    pins = ROOT / "jobs/train/requirements.txt"

    def make(folder: Path) -> None:
        shutil.copy(pins, folder / "requirements.txt")
        if target == "aws":
            _run(
                *("pip", "download", "--quiet", "--require-hashes", "--only-binary", ":all:", "--no-deps"),
                *("--python-version", _CONTAINER.python, "--implementation", "cp"),
                *("--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_27_x86_64"),
                *("--platform", "manylinux2014_x86_64", "--platform", "manylinux_2_17_x86_64"),
                *("--dest", str(folder), "-r", str(pins)),
            )

    return _made(f"wheelhouse/{target}", "wheelhouse", [pins.read_bytes(), target.encode()], make, progress)


def _job(folder: Path) -> None:
    shutil.copytree(ROOT / "jobs", folder / "jobs", ignore=_ignored)
    shutil.copy(ROOT / "jobs/train/__main__.py", folder / "__main__.py")


def _made(
    kind: str, name: str, inputs: Iterable[bytes], make: Callable[[Path], None], progress: Callable[[str], None]
) -> Path:
    """A folder made once from these inputs; a build that dies half-way leaves nothing that looks finished."""
    digest = hashlib.sha256()
    for part in (Path(__file__).read_bytes(), *inputs):
        digest.update(hashlib.sha256(part).digest())
    folder = BUILD / kind / f"{name}-{digest.hexdigest()[:12]}"
    if not folder.exists():
        progress(f"building {kind}/{name}")
        draft = folder.with_name(folder.name + ".draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        make(draft)
        draft.rename(folder)
    return folder


def _install(pins: Path, folder: Path, here: Platform) -> None:
    platforms = ["--python-platform", here.wheels] if here.wheels else []
    _run(
        *("uv", "pip", "install", "--quiet", "--target", str(folder), "--python-version", here.python),
        *("--only-binary", ":all:", "--require-hashes", "--no-deps", "-r", str(pins), *platforms),
    )


def _run(tool: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", tool, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DependencyUnavailable(f"{tool} {arguments[0]} failed:\n{done.stderr.strip()[-2000:]}")


def _strip(folder: Path) -> None:
    for pattern in _STRIPPED:
        for path in sorted(folder.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _compile(folder: Path) -> None:
    """Bytecode whose validity is never checked: /opt is read-only, and without it every cold start compiles."""
    compileall.compile_dir(
        folder,
        quiet=2,
        ddir="/opt/python",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
    )


def _sources(folder: Path, suffixes: tuple[str, ...] = (".py", ".j2", ".txt", ".css")) -> list[bytes]:
    """Names and contents of a folder's files, in order: what a build is made from."""
    files = sorted(p for p in folder.rglob("*") if p.suffix in suffixes and "__pycache__" not in p.parts)
    return [part for path in files for part in (path.relative_to(folder).as_posix().encode(), path.read_bytes())]


def _ignored(_folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in {"__pycache__", "requirements.in"}}


def _forget_older(made: Artefacts) -> None:
    """Builds of older inputs are only in the way; those of today may be another cloud's."""
    current = {*made.layers.values(), made.job, made.wheelhouse}
    for folder in {path.parent for path in current}:
        for path in folder.iterdir():
            if path not in current and time.time() - path.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(path)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Build for one target and print the sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", choices=("local", "aws"), default="local")
    made = build(parser.parse_args().target)
    for name, path in made.layers.items():
        print(f"{name:10} {_size(path) / 1e6:7.1f} MB")


if __name__ == "__main__":
    main()
