"""Training jobs: the operations, and a job's way through its states."""

from __future__ import annotations

import logging
import re
import shutil
import threading
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.sagemaker.container import Container, Ended, InputError, artefact, end_left_over
from localcloud.sagemaker.emulator import as_role
from localcloud.sagemaker.events import Events
from localcloud.sagemaker.joblog import JobLog
from localcloud.sagemaker.listing import page
from localcloud.sagemaker.protocol import ServiceError, described
from localcloud.sagemaker.store import Record, Store, now
from localcloud.sagemaker.tags import Tags

logger = logging.getLogger(__name__)

_REFUSED = (ClientError, BotoCoreError, Boto3Error)
_ENDED = {"Completed", "Failed", "Stopped"}
_REASON_LENGTH = 1024
# How long an answer may wait for its job's end, when told to be late: less than a client waits for an answer.
_EARLY_SECONDS = 50.0
_SUMMARY = [
    "TrainingJobName",
    "TrainingJobArn",
    "CreationTime",
    "TrainingEndTime",
    "LastModifiedTime",
    "TrainingJobStatus",
]
_MESSAGES = {
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


class Training:
    """The operations on training jobs. A record is what DescribeTrainingJob answers."""

    def __init__(self, state: Path, events: Events, tags: Tags) -> None:
        self._jobs = Store(state / "training-jobs")
        self._folders = state / "containers"
        self._events = events
        self._tags = tags
        self._stops: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []
        self._closing = False

    def recover(self) -> None:
        """Fail the jobs that were running when the service ended."""
        end_left_over(self._folders)
        shutil.rmtree(self._folders, ignore_errors=True)
        for job in self._jobs.all():
            if job["TrainingJobStatus"] not in _ENDED:
                reason = "InternalServerError: the service ended while the job ran. Please try again."
                self._end(job["TrainingJobName"], "Failed", "Failed", FailureReason=reason)

    def create(self, request: Record, account: str, region: str) -> Record:
        """CreateTrainingJob.

        Raises:
            ServiceError: the name is taken, the role cannot be assumed, or the request asks for what is not here.
        """
        name = request["TrainingJobName"]
        _refuse(request)
        started = now()
        job = {
            **described("DescribeTrainingJob", request),
            "TrainingJobArn": f"arn:aws:sagemaker:{region}:{account}:training-job/{name}",
            "ModelArtifacts": {"S3ModelArtifacts": artefact(request, "model.tar.gz")},
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "SecondaryStatusTransitions": [_transition("Starting", started)],
            "CreationTime": started,
            "LastModifiedTime": started,
        }
        session = as_role(request["RoleArn"], "SageMaker")
        if not self._jobs.add(name, job):
            raise ServiceError(
                "ResourceInUse",
                f"Training job names must be unique within an AWS account and region, and a training job with this "
                f"name already exists ({job['TrainingJobArn']})",
            )
        self._tags.add(job["TrainingJobArn"], request.get("Tags", []))
        self._stops[name] = threading.Event()
        thread = threading.Thread(target=self._run, args=(name, session), daemon=True)
        self._threads = [other for other in self._threads if other.is_alive()] + [thread]
        thread.start()
        if self._events.come_early():
            thread.join(_EARLY_SECONDS)
            self._events.flush()
        return {"TrainingJobArn": job["TrainingJobArn"]}

    def describe(self, name: str) -> Record:
        """DescribeTrainingJob.

        Raises:
            ServiceError: there is no such job.
        """
        job = self._jobs.get(name)
        if job is None:
            raise ServiceError("ValidationException", "Requested resource not found.")
        return job

    def list(self, request: Record) -> Record:
        """ListTrainingJobs."""
        status = request.get("StatusEquals")
        return page(
            request,
            [job for job in self._jobs.all() if status in {None, job["TrainingJobStatus"]}],
            name="TrainingJobName",
            orders={
                "CreationTime": lambda job: job["CreationTime"],
                "Name": lambda job: job["TrainingJobName"],
                "Status": lambda job: job["TrainingJobStatus"],
            },
            answer="TrainingJobSummaries",
            members=_SUMMARY,
        )

    def stop(self, name: str) -> Record:
        """StopTrainingJob.

        Raises:
            ServiceError: there is no such job, or it has ended.
        """
        self.describe(name)
        if not self._enter(name, "Stopping", TrainingJobStatus="Stopping"):
            status = self.describe(name)["TrainingJobStatus"]
            raise ServiceError(
                "ValidationException", f"The request was rejected because the training job is in status {status}."
            )
        if (event := self._stops.get(name)) is not None:
            event.set()
        return {}

    def close(self) -> None:
        """End every container; their jobs fail when the service starts again."""
        self._closing = True
        for stop in list(self._stops.values()):
            stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, name: str, session: Any) -> None:
        container = Container(self._folders / name, self.describe(name))
        try:
            self._steps(name, container, session)
        except Exception as error:
            logger.exception("job %s", name)
            self._end(name, "Failed", "Failed", FailureReason=f"InternalServerError: {error}")
        finally:
            self._stops.pop(name, None)
            shutil.rmtree(container.root, ignore_errors=True)

    def _steps(self, name: str, container: Container, session: Any) -> None:
        stop = self._stops[name]
        s3 = session.client("s3")
        self._enter(name, "Downloading")
        container.prepare()
        try:
            container.download(s3)
        except (*_REFUSED, InputError) as error:
            self._end(name, "Failed", "Failed", FailureReason=f"ClientError: Data download failed:{error}")
            return
        if self._closing:
            return
        if stop.is_set():
            self._end(name, "Stopped", "Stopped")
            return
        self._enter(name, "Training", TrainingStartTime=now())
        log = JobLog(session.client("logs"), name, container.job["AlgorithmSpecification"].get("MetricDefinitions", []))
        ended = container.run(session.get_credentials().get_frozen_credentials(), log.write, stop)
        metrics = log.close()
        if self._closing:
            return
        self._enter(name, "Uploading", TrainingEndTime=now(), FinalMetricDataList=metrics)
        try:
            container.upload(s3)
        except _REFUSED as error:
            if ended == Ended(0, "exited"):
                self._end(name, "Failed", "Failed", FailureReason=f"ClientError: Artifact upload failed:{error}")
                return
        self._conclude(name, ended, container.failure())

    def _conclude(self, name: str, ended: Ended, failure: str) -> None:
        if ended.how == "expired":
            self._end(name, "Stopped", "MaxRuntimeExceeded")
        elif self.describe(name)["TrainingJobStatus"] == "Stopping":
            self._end(name, "Stopped", "Stopped")
        elif ended.code == 0:
            self._end(name, "Completed", "Completed")
        else:
            self._end(name, "Failed", "Failed", FailureReason=f"AlgorithmError: {failure}, exit code: {ended.code}")

    def _end(self, name: str, status: str, secondary: str, **values: Any) -> None:
        job = self.describe(name)
        times = {"TrainingEndTime": job.get("TrainingEndTime", now())}
        if "TrainingStartTime" in job:
            seconds = max(1, round(times["TrainingEndTime"] - job["TrainingStartTime"]))
            times |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
        if "FailureReason" in values:
            values["FailureReason"] = values["FailureReason"][:_REASON_LENGTH]
        self._enter(name, secondary, TrainingJobStatus=status, **times, **values)

    def _enter(self, name: str, secondary: str, **values: Any) -> bool:
        """Take a job into its next state and tell it; False, and nothing is done, when it has ended."""
        moment = now()
        entered = False

        def change(job: Record) -> Record:
            nonlocal entered
            entered = job["TrainingJobStatus"] not in _ENDED
            if not entered:
                return job
            transitions = job["SecondaryStatusTransitions"]
            transitions[-1]["EndTime"] = moment
            last = _transition(secondary, moment)
            if values.get("TrainingJobStatus") in _ENDED:
                last["EndTime"] = moment
            return {
                **job,
                **values,
                "SecondaryStatus": secondary,
                "SecondaryStatusTransitions": [*transitions, last],
                "LastModifiedTime": moment,
            }

        job = self._jobs.edit(name, change)
        if entered:
            arn = job["TrainingJobArn"]
            detail = _milliseconds({**job, "Tags": self._tags.of(arn)})
            final = job["TrainingJobStatus"] in _ENDED
            self._events.send("SageMaker Training Job State Change", arn, detail, arn.split(":")[3], final=final)
        return entered


def _refuse(request: Record) -> None:
    """Say what a laptop does not do.

    Raises:
        ServiceError: in the API's form.
    """
    specification = request.get("AlgorithmSpecification") or {}
    refused = []
    if not specification.get("ContainerEntrypoint"):
        refused.append("a laptop runs jobs that name their ContainerEntrypoint: no image is pulled")
    if request["ResourceConfig"].get("InstanceCount", 1) != 1:
        refused.append("a laptop is one instance")
    if specification["TrainingInputMode"] == "Pipe":
        refused.append("a laptop reads channels in File mode")
    for channel in request.get("InputDataConfig", []):
        source = channel["DataSource"].get("S3DataSource", {})
        if source.get("S3DataType") != "S3Prefix" or channel.get("CompressionType", "None") != "None":
            refused.append(f"a laptop reads channels by S3Prefix and uncompressed: {channel['ChannelName']}")
    for definition in specification.get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error as error:
            refused.append(f"the metric {definition['Name']} has an invalid expression: {error}")
    if refused:
        raise ServiceError("ValidationException", "; ".join(refused))


def _transition(status: str, moment: float) -> Record:
    return {"Status": status, "StartTime": moment, "StatusMessage": _MESSAGES[status]}


def _milliseconds(value: Any) -> Any:
    """Events write times as whole milliseconds, the API as seconds."""
    if isinstance(value, dict):
        return {
            key: int(item * 1000)
            if key.endswith(("Time", "Timestamp")) and isinstance(item, float | int)
            else _milliseconds(item)
            for key, item in value.items()
        }
    return [_milliseconds(item) for item in value] if isinstance(value, list) else value
