"""The training container's contract, with a process in place of the container.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from botocore.credentials import ReadOnlyCredentials

from localcloud.processes import Process
from localcloud.sagemaker.store import Record

_ROOT = re.compile(r"/opt/ml(?![\w-])")
# SageMaker waits two minutes between SIGTERM and SIGKILL; nobody at a laptop wants to.
_GRACE_SECONDS = float(os.environ.get("INTERLOCK_STOP_GRACE", "5"))
# A network-isolated job gets no answer from anywhere: proxies that are not there.
_NOWHERE = "http://127.0.0.1:9"
_PID = "process.json"


class InputError(Exception):
    """The job's input is not there."""


@dataclass(frozen=True)
class Ended:
    """How a container ended; `code` as Docker tells it (128 + signal)."""

    code: int
    how: Literal["exited", "stopped", "expired"]


@dataclass(frozen=True)
class Container:
    """The folder that stands for /opt/ml, and the job that runs in it."""

    root: Path
    job: Record

    def prepare(self) -> None:
        """Make the folders and files that a container finds."""
        for folder in ("input/config", "input/data", "model", "output/data", "tmp"):
            (self.root / folder).mkdir(parents=True)
        instance = self.job["ResourceConfig"]["InstanceType"]
        group = "homogeneousCluster"
        resources = {
            "current_host": "algo-1",
            "current_instance_type": instance,
            "current_group_name": group,
            "hosts": ["algo-1"],
            "instance_groups": [{"instance_group_name": group, "instance_type": instance, "hosts": ["algo-1"]}],
            "network_interface_name": "eth0",
        }
        channels = {
            channel["ChannelName"]: {
                "TrainingInputMode": "File",
                "S3DistributionType": "FullyReplicated",
                "RecordWrapperType": "None",
                **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
            }
            for channel in self.job.get("InputDataConfig", [])
        }
        for name, content in (
            ("hyperparameters", self.job.get("HyperParameters", {})),
            ("inputdataconfig", channels),
            ("resourceconfig", resources),
        ):
            (self.root / f"input/config/{name}.json").write_text(json.dumps(content))

    def download(self, s3: Any) -> None:
        """Fetch every channel: all objects whose keys start with its prefix.

        Raises:
            InputError: nothing lies there, or two objects want the same place.
            ClientError: the job's role may not list or read.
        """
        for channel in self.job.get("InputDataConfig", []):
            uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
            _download(s3, uri, self.root / "input/data" / channel["ChannelName"])

    def run(self, credentials: ReadOnlyCredentials, write: Callable[[str], None], stop: threading.Event) -> Ended:
        """Run the entry point until it ends, is stopped or runs out of time.

        Args:
            credentials: of the job's role; a job without network isolation gets them.
            write: takes each line of its output.
            stop: set by whoever wants it to end.
        """
        specification = self.job["AlgorithmSpecification"]
        command = [
            self._inside(part)
            for part in (*specification["ContainerEntrypoint"], *specification.get("ContainerArguments", []))
        ]
        try:
            process = subprocess.Popen(
                command, cwd=self.root, env=self._environment(credentials), text=True, errors="replace",
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            write(f'exec: "{command[0]}": {error.strerror}')
            return Ended(127, "exited")
        (self.root / _PID).write_text(json.dumps(vars(Process.of(process.pid))))
        reader = threading.Thread(target=_read, args=(process, write), daemon=True)
        reader.start()
        limit = self.job["StoppingCondition"].get("MaxRuntimeInSeconds", 86400)
        how = _wait(process, stop, time.monotonic() + limit)
        if how != "exited":
            _signal(process, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE_SECONDS)
        # A container's other processes end with its first.
        _signal(process, signal.SIGKILL)
        code = process.wait()
        reader.join(5)
        return Ended(code if code >= 0 else 128 - code, how)

    def upload(self, s3: Any) -> None:
        """Leave model.tar.gz, and output.tar.gz if anything was written for it, where SageMaker leaves them.

        Raises:
            Boto3Error: the job's role may not write there.
        """
        for folder, name in (("model", "model.tar.gz"), ("output/data", "output.tar.gz")):
            content = sorted((self.root / folder).iterdir())
            if not content and name == "output.tar.gz":
                continue
            packed = self.root / name
            with tarfile.open(packed, "w:gz") as archive:
                for path in content:
                    archive.add(path, arcname=path.name)
            bucket, _, key = artefact(self.job, name).removeprefix("s3://").partition("/")
            s3.upload_file(str(packed), bucket, key)

    def failure(self) -> str:
        """What the job wrote about its failure."""
        path = self.root / "output/failure"
        return path.read_text("utf-8", "replace").strip() if path.is_file() else ""

    def _environment(self, credentials: ReadOnlyCredentials) -> dict[str, str]:
        """The container's own environment and nothing of this machine's."""
        python = Path(os.environ["INTERLOCK_JOB_PYTHON"]).parent
        region = self.job["TrainingJobArn"].split(":")[3]
        if self.job.get("EnableNetworkIsolation"):
            network = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), _NOWHERE)
        else:
            network = {
                "AWS_ACCESS_KEY_ID": credentials.access_key or "",
                "AWS_SECRET_ACCESS_KEY": credentials.secret_key or "",
                "AWS_SESSION_TOKEN": credentials.token or "",
                "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
            }
        return {
            "PATH": f"{python}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self.root),
            "TMPDIR": str(self.root / "tmp"),
            "AWS_REGION": region,
            "SAGEMAKER_BASE_DIR": str(self.root),
            "TRAINING_JOB_NAME": self.job["TrainingJobName"],
            "TRAINING_JOB_ARN": self.job["TrainingJobArn"],
            **network,
            **{name: self._inside(value) for name, value in self.job.get("Environment", {}).items()},
        }

    def _inside(self, text: str) -> str:
        return _ROOT.sub(lambda _: str(self.root), text)


def artefact(job: Record, name: str) -> str:
    """Where a file of the job's output lies."""
    return f"{job['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job['TrainingJobName']}/output/{name}"


def end_left_over(folders: Path) -> None:
    """End the processes of containers whose service died, and remove their folders' marks."""
    for path in folders.glob(f"*/{_PID}"):
        Process(**json.loads(path.read_text())).end(grace=1.0)
        path.unlink()


def _download(s3: Any, uri: str, folder: Path) -> None:
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    folder.mkdir(parents=True)
    found = False
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            key = item["Key"]
            if key.endswith("/"):
                continue
            inside = key[len(prefix) :] if prefix.endswith("/") else key[prefix.rfind("/") + 1 :]
            target = (folder / inside.lstrip("/")).resolve()
            if not target.is_relative_to(folder.resolve()):
                raise InputError(f"the key {key!r} leads out of the channel's folder")
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(bucket, key, str(target))
            except OSError as error:
                raise InputError(f"the key {key!r} cannot be a file: {error}") from None
            found = True
    if not found:
        raise InputError(
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            "exists in the selected region, that objects exist under that S3 prefix, and that the job's role has "
            f'"s3:ListBucket" permissions on {bucket}.'
        )


def _read(process: subprocess.Popen[str], write: Callable[[str], None]) -> None:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    for line in process.stdout:
        write(line.rstrip("\n"))


def _wait(
    process: subprocess.Popen[str], stop: threading.Event, deadline: float
) -> Literal["exited", "stopped", "expired"]:
    while process.poll() is None:
        if stop.wait(0.05):
            return "stopped"
        if time.monotonic() > deadline:
            return "expired"
    return "exited"


def _signal(process: subprocess.Popen[str], which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, which)
