"""Training jobs: the container's contract, with a process in place of the container."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from localcloud.sagemaker.emulator import as_role
from localcloud.sagemaker.events import Events
from localcloud.sagemaker.protocol import ServiceError
from localcloud.sagemaker.store import Record, Store, now

logger = logging.getLogger(__name__)

_CONTAINER_ROOT = "/opt/ml"
_LOG_GROUP = "/aws/sagemaker/TrainingJobs"
_ENDED = {"Completed", "Failed", "Stopped"}
# SageMaker waits two minutes between SIGTERM and SIGKILL; nobody at a laptop wants to.
_GRACE_SECONDS = float(os.environ.get("INTERLOCK_STOP_GRACE", "5"))
_KEPT = [
    "TrainingJobName",
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "Environment",
    "EnableManagedSpotTraining",
]


class Training:
    """The operations on training jobs."""

    def __init__(self, state: Path, events: Events) -> None:
        self._jobs = Store(state / "training-jobs")
        self._folders = state / "containers"
        self._events = events
        self._running: dict[str, subprocess.Popen[str]] = {}
        self._stopped: set[str] = set()
        for job in self._jobs.all():
            if job["TrainingJobStatus"] not in _ENDED:
                self._end(
                    job["TrainingJobName"], "Failed", "Failed", reason="InternalServerError: the service restarted."
                )

    def create(self, request: Record, account: str, region: str) -> Record:
        """CreateTrainingJob."""
        name = request["TrainingJobName"]
        specification = request.get("AlgorithmSpecification") or {}
        if not specification.get("ContainerEntrypoint"):
            raise ServiceError("ValidationException", "a laptop runs jobs that name their ContainerEntrypoint")
        started = now()
        job = {
            **{member: request[member] for member in _KEPT if member in request},
            "TrainingJobArn": f"arn:aws:sagemaker:{region}:{account}:training-job/{name}",
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "SecondaryStatusTransitions": [_transition("Starting", started)],
            "CreationTime": started,
            "LastModifiedTime": started,
            "Tags": request.get("Tags", []),
            "Region": region,
        }
        session = as_role(request["RoleArn"], "SageMaker")
        if not self._jobs.add(name, job):
            raise ServiceError("ResourceInUse", f"Training job names must be unique within an AWS account: {name}")
        threading.Thread(target=self._run, args=(name, session), daemon=True).start()
        return {"TrainingJobArn": job["TrainingJobArn"]}

    def describe(self, name: str) -> Record:
        """DescribeTrainingJob."""
        job = self._jobs.get(name)
        if job is None:
            raise ServiceError("ValidationException", "Requested resource not found.")
        return {member: value for member, value in job.items() if member not in {"Tags", "Region"}}

    def list(self, request: Record) -> Record:
        """ListTrainingJobs, newest first, by name and status."""
        wanted, status = request.get("NameContains", ""), request.get("StatusEquals")
        found = [
            {
                member: job[member]
                for member in (
                    "TrainingJobName",
                    "TrainingJobArn",
                    "CreationTime",
                    "LastModifiedTime",
                    "TrainingJobStatus",
                )
            }
            for job in reversed(self._jobs.all())
            if wanted in job["TrainingJobName"] and status in {None, job["TrainingJobStatus"]}
        ]
        return {"TrainingJobSummaries": found[: request.get("MaxResults", 10)]}

    def stop(self, name: str) -> Record:
        """StopTrainingJob."""
        job = self._jobs.get(name)
        if job is None:
            raise ServiceError("ValidationException", "Requested resource not found.")
        if job["TrainingJobStatus"] in _ENDED:
            raise ServiceError("ValidationException", f"The job is already {job['TrainingJobStatus']}.")
        self._stopped.add(name)
        self._enter(name, "Stopping", status="Stopping")
        if process := self._running.get(name):
            threading.Thread(target=_terminate, args=(process,), daemon=True).start()
        return {}

    def close(self) -> None:
        """End every process when the service ends."""
        for process in list(self._running.values()):
            _terminate(process)

    def _run(self, name: str, session: Any) -> None:
        job = self.describe(name)
        root = self._folders / name
        try:
            self._run_in(name, job, root, session)
        except ClientError as error:
            self._end(name, "Failed", "Failed", reason=f"ClientError: {error}")
        except Exception as error:
            logger.exception("job %s", name)
            self._end(name, "Failed", "Failed", reason=f"InternalServerError: {error}")
        finally:
            self._running.pop(name, None)
            shutil.rmtree(root, ignore_errors=True)

    def _run_in(self, name: str, job: Record, root: Path, session: Any) -> None:
        shutil.rmtree(root, ignore_errors=True)
        self._enter(name, "Downloading")
        s3 = session.client("s3")
        _prepare(root, job)
        for channel in job.get("InputDataConfig", []):
            _download(s3, channel, root / "input/data" / channel["ChannelName"])
        self._enter(name, "Training", TrainingStartTime=now())
        log = _Log(session.client("logs"), name)
        code, out_of_time, metrics = self._container(name, job, root, log)
        log.close()
        ended = now()
        self._enter(name, "Uploading")
        artefacts = _upload(s3, job, root)
        values = {
            "TrainingEndTime": ended,
            "ModelArtifacts": {"S3ModelArtifacts": artefacts},
            "FinalMetricDataList": metrics,
        }
        if out_of_time:
            self._end(name, "Stopped", "MaxRuntimeExceeded", **values)
        elif name in self._stopped:
            self._end(name, "Stopped", "Stopped", **values)
        elif code == 0:
            self._end(name, "Completed", "Completed", **values)
        else:
            failure = root / "output/failure"
            told = failure.read_text("utf-8", "replace") if failure.exists() else "(no failure file)"
            self._end(name, "Failed", "Failed", reason=f"AlgorithmError: {told}, exit code: {code}"[:1024], **values)

    def _container(self, name: str, job: Record, root: Path, log: _Log) -> tuple[int, bool, list[Record]]:
        """Run the entry point; answers exit code, whether time ran out, and the metrics its log named."""
        specification = job["AlgorithmSpecification"]
        command = [
            part.replace(_CONTAINER_ROOT, str(root))
            for part in (*specification["ContainerEntrypoint"], *specification.get("ContainerArguments", []))
        ]
        python = Path(os.environ["INTERLOCK_JOB_PYTHON"]).parent
        environment = {
            # The container's own environment and nothing of this machine's: no credentials, no endpoints.
            "PATH": f"{python}:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(root),
            "TMPDIR": str(root / "tmp"),
            "SAGEMAKER_BASE_DIR": str(root),
            "TRAINING_JOB_NAME": name,
            "TRAINING_JOB_ARN": job["TrainingJobArn"],
            **job.get("Environment", {}),
        }
        if name in self._stopped:
            return -1, False, []
        process = subprocess.Popen(
            command, cwd=root, env=environment, text=True, errors="replace", start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._running[name] = process
        expired = threading.Event()

        def time_out() -> None:
            expired.set()
            _terminate(process)

        timer = threading.Timer(job["StoppingCondition"].get("MaxRuntimeInSeconds", 86400), time_out)
        timer.start()
        metrics: dict[str, Record] = {}
        assert process.stdout is not None  # noqa: S101 - it was asked for
        for line in process.stdout:
            log.write(line.rstrip("\n"))
            for definition in specification.get("MetricDefinitions", []):
                if match := re.search(definition["Regex"], line):
                    value = {"MetricName": definition["Name"], "Value": float(match.group(1)), "Timestamp": now()}
                    metrics[definition["Name"]] = value
        code = process.wait()
        timer.cancel()
        return code, expired.is_set(), list(metrics.values())

    def _enter(self, name: str, secondary: str, *, status: str = "InProgress", **values: Any) -> None:
        job = self._jobs.get(name) or {}
        moment = now()
        transitions = job.get("SecondaryStatusTransitions", [])
        if transitions:
            transitions[-1]["EndTime"] = moment
        self._jobs.change(
            name,
            TrainingJobStatus=status,
            SecondaryStatus=secondary,
            SecondaryStatusTransitions=[*transitions, _transition(secondary, moment)],
            LastModifiedTime=moment,
            **values,
        )
        self._tell(name, final=status in _ENDED)

    def _end(self, name: str, status: str, secondary: str, *, reason: str | None = None, **values: Any) -> None:
        job = self._jobs.get(name) or {}
        ended = values.get("TrainingEndTime", now())
        seconds = max(1, round(ended - job.get("TrainingStartTime", job["CreationTime"])))
        values |= {"TrainingEndTime": ended, "TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        if reason:
            values["FailureReason"] = reason
        self._stopped.discard(name)
        self._enter(name, secondary, status=status, **values)

    def _tell(self, name: str, *, final: bool) -> None:
        job = self._jobs.get(name) or {}
        detail = {member: value for member, value in job.items() if member != "Region"}
        detail["Tags"] = {tag["Key"]: tag["Value"] for tag in job.get("Tags", [])}
        detail = _milliseconds(detail)
        self._events.send(
            "SageMaker Training Job State Change", job["TrainingJobArn"], detail, job["Region"], final=final
        )


class _Log:
    """Lines of a job on their way to CloudWatch Logs, at most a second behind."""

    def __init__(self, client: Any, job: str) -> None:
        self._client = client
        self._stream = f"{job}/algo-1-{int(time.time())}"
        self._lines: list[Record] = []
        self._sent = time.monotonic()
        for create, exists in (
            (
                lambda: client.create_log_group(logGroupName=_LOG_GROUP),
                client.exceptions.ResourceAlreadyExistsException,
            ),
            (
                lambda: client.create_log_stream(logGroupName=_LOG_GROUP, logStreamName=self._stream),
                client.exceptions.ResourceAlreadyExistsException,
            ),
        ):
            try:
                create()
            except exists:
                pass

    def write(self, line: str) -> None:
        self._lines.append({"timestamp": int(time.time() * 1000), "message": line or " "})
        if time.monotonic() - self._sent > 1:
            self.close()

    def close(self) -> None:
        """Send what waits."""
        if self._lines:
            self._client.put_log_events(logGroupName=_LOG_GROUP, logStreamName=self._stream, logEvents=self._lines)
        self._lines, self._sent = [], time.monotonic()


def _prepare(root: Path, job: Record) -> None:
    """The folders and files that a container finds."""
    for folder in ("input/config", "input/data", "model", "output/data", "tmp"):
        (root / folder).mkdir(parents=True)
    resources = {
        "current_host": "algo-1",
        "hosts": ["algo-1"],
        "current_instance_type": job["ResourceConfig"]["InstanceType"],
        "current_group_name": "homogeneousCluster",
        "network_interface_name": "eth0",
    }
    channels = {
        channel["ChannelName"]: {
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
            **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
        }
        for channel in job.get("InputDataConfig", [])
    }
    for name, content in (
        ("hyperparameters", job.get("HyperParameters", {})),
        ("inputdataconfig", channels),
        ("resourceconfig", resources),
    ):
        (root / f"input/config/{name}.json").write_text(json.dumps(content))


def _download(s3: Any, channel: Record, folder: Path) -> None:
    """Every object whose key starts with the channel's prefix; the job's role must be allowed to list and read."""
    bucket, _, prefix = channel["DataSource"]["S3DataSource"]["S3Uri"].removeprefix("s3://").partition("/")
    folder.mkdir(parents=True)
    found = False
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            if item["Key"].endswith("/"):
                continue
            inside = (
                item["Key"][len(prefix) :].lstrip("/") if prefix.endswith("/") else item["Key"][prefix.rfind("/") + 1 :]
            )
            target = folder / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, item["Key"], str(target))
            found = True
    if not found:
        raise ServiceError(
            "ClientError", f'No S3 objects found under S3 URL "s3://{bucket}/{prefix}" given in input data source.'
        )


def _upload(s3: Any, job: Record, root: Path) -> str:
    """model.tar.gz and output.tar.gz, as SageMaker leaves them; answers where the model lies."""
    bucket, _, prefix = job["OutputDataConfig"]["S3OutputPath"].removeprefix("s3://").partition("/")
    base = "/".join(part for part in (prefix.strip("/"), job["TrainingJobName"], "output") if part)
    for folder, name in (("model", "model.tar.gz"), ("output/data", "output.tar.gz")):
        content = sorted((root / folder).iterdir())
        if not content and name == "output.tar.gz":
            continue
        packed = root / name
        with tarfile.open(packed, "w:gz") as archive:
            for path in content:
                archive.add(path, arcname=path.name)
        s3.upload_file(str(packed), bucket, f"{base}/{name}")
    return f"s3://{bucket}/{base}/model.tar.gz"


def _terminate(process: subprocess.Popen[str]) -> None:
    """As SageMaker stops a container: a request first, then an end."""
    for how, seconds in ((signal.SIGTERM, _GRACE_SECONDS), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, how)
            process.wait(seconds)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return


def _transition(status: str, moment: float) -> Record:
    messages = {
        "Starting": "Preparing the instances for training",
        "Downloading": "Downloading the training image and input data",
        "Training": "Training image download completed. Training in progress.",
        "Uploading": "Uploading generated training model",
        "Completed": "Training job completed",
        "Stopping": "Stopping the training job",
        "Stopped": "Training job stopped",
        "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
        "Failed": "Training job failed",
    }
    return {"Status": status, "StartTime": moment, "StatusMessage": messages[status]}


def _milliseconds(value: Any) -> Any:
    """Events write times as whole milliseconds, the API as seconds."""
    if isinstance(value, dict):
        return {
            key: int(item * 1000) if key.endswith("Time") and isinstance(item, float | int) else _milliseconds(item)
            for key, item in value.items()
        }
    return [_milliseconds(item) for item in value] if isinstance(value, list) else value
