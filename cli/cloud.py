"""The environment as a whole: deployed, examined, removed; its logs."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.markup import escape

from cli.contracts import deploying
from cli.options import models_folder
from cli.target import Target
from cli.view import console
from interlock.errors import InterlockError, InvalidRequest, Refused
from interlock.evolving import Consequence
from interlock.folder import model_folders, read_model
from localcloud import supervisor
from localcloud.deploy import cdk, cdk_deploy, deploy_local

_HEADLINES = ("starting", "bootstrapping", "building", "port ", "✅", "❌")
_JOB_LOGS = "/aws/sagemaker/TrainingJobs"


def deploy(environment: str, profile: str | None, *, break_champion: bool = False) -> dict[str, str]:
    """Deploy to the local cloud (started when it does not run) or to the profile's account; answers the outputs."""
    settings = {"environment": environment, "break_champion": str(break_champion).lower()}
    with _progress() as tell:
        if profile is None:
            return deploy_local(supervisor.up(progress=tell), settings, tell)
        supervisor.HOME.mkdir(exist_ok=True)
        child = {**os.environ, "AWS_PROFILE": profile}
        cdk(["bootstrap"], settings, child, supervisor.HOME, tell)
        return cdk_deploy(settings, child, supervisor.HOME, tell)


def foreseen(environment: str, profile: str | None) -> dict[str, list[Consequence]]:
    """What deploying the models' folder would mean for the versions that serve (the local cloud is started).

    Raises:
        InvalidSpec, InvalidContract: a model cannot be deployed.
    """
    models = [read_model(path) for path in model_folders(models_folder())]
    if profile is None:
        with _progress() as tell:
            supervisor.up(progress=tell)
    return deploying.foreseen(Target.find(environment, profile), models)


def refuse_production(target: Target) -> None:
    """Production is never destroyed by a command.

    Raises:
        Refused: the deployment says that it is production.
    """
    if target.outputs.get("Production") == "true":
        raise Refused(
            f"{target.stack} is production: it is not destroyed by a command",
            remedy="Set production to false, deploy, and mean it.",
        )


def destroy(target: Target) -> Iterator[str]:
    """Remove everything of an environment; a line for each thing, at the end what stays."""
    outputs = target.outputs
    for model in target.models:
        yield from _forget_packages(target, f"{target.stack}-{model}")
    for name in ("DataBucket", "ArtefactsBucket"):
        yield f"emptied {outputs[name]}: {_empty(target, outputs[name])} object versions"
    yield f"deleted {_forget_job_logs(target)} log streams of training jobs"
    cloudformation = target.client("cloudformation")
    cloudformation.delete_stack(StackName=target.stack)
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName=target.stack, WaiterConfig={"Delay": 2 if target.local else 10, "MaxAttempts": 180}
    )
    yield f"deleted the stack {target.stack}"
    yield (
        "What stays: the CDK's own bootstrap stack (CDKToolkit) with the uploaded code, shared by all CDK apps of the "
        "account; records of ended training jobs, which SageMaker keeps and does not charge."
    )


def wipe_local() -> None:
    """Stop the local cloud and throw away all that was in it."""
    supervisor.down()
    shutil.rmtree(supervisor.HOME / "state", ignore_errors=True)
    shutil.rmtree(supervisor.HOME / "reports", ignore_errors=True)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    state: str
    what: str
    found: str
    remedy: str = ""


def examine(environment: str, profile: str | None) -> Iterator[Finding]:
    """Look at everything that a deployment needs, and say what to do."""
    version = sys.version_info
    yield _finding("fail", version >= (3, 11), "Python", f"{version.major}.{version.minor}", "Use 3.11 or later.")
    for name in ("emulator", "lambda-runtime", "job"):
        there = (supervisor.HOME / "envs" / name / "bin/python").exists()
        yield _finding("fail", there, f"environment {name}", "there" if there else "missing", "Run `make setup`.")
    free = shutil.disk_usage(supervisor.ROOT).free / 1e9
    yield _finding("warn", free > 3, "free disk", f"{free:.0f} GB", "The layers and the local cloud need 3 GB.")
    if profile is None:
        status = supervisor.status()
        running = [name for name, runs in status.items() if runs]
        up = bool(status) and len(running) == len(status)
        yield _finding("warn", up, "local cloud", ", ".join(running) or "stopped", "Start it with `interlock up`.")
    try:
        target = Target.find(environment, profile)
        yield Finding("ok", "caller", target.caller())
    except (InterlockError, ClientError, BotoCoreError) as error:
        yield Finding("warn" if profile is None else "fail", "caller", str(error), _remedy(error))
        return
    try:
        yield Finding("ok", "stack", f"{target.stack}, models: {', '.join(target.models)}")
    except (InterlockError, ClientError, BotoCoreError) as error:
        yield Finding("warn", "stack", str(error), _remedy(error))
    if target.local is None:
        yield from _quotas(target)


def _finding(otherwise: str, well: bool, what: str, found: str, remedy: str) -> Finding:
    return Finding("ok", what, found) if well else Finding(otherwise, what, found, remedy)


def _remedy(error: Exception) -> str:
    return error.next_step if isinstance(error, InterlockError) else "Check the profile: sign-in, region, permissions."


# AWS's codes of the quotas that new accounts have reduced.
_QUOTAS = (
    ("lambda", "L-B99A9384", "Lambda: concurrent executions", 10),
    ("sagemaker", "L-611FA074", "SageMaker: ml.m5.large for training", 1),
)


def _quotas(target: Target) -> Iterator[Finding]:
    client = target.client("service-quotas")
    for service, quota, what, needed in _QUOTAS:
        try:
            value = client.get_service_quota(ServiceCode=service, QuotaCode=quota)["Quota"]["Value"]
        except ClientError as error:
            yield Finding("warn", what, str(error), "Allow servicequotas:GetServiceQuota to see it.")
            continue
        remedy = f"Ask AWS for {needed} or more (Service Quotas console)."
        yield _finding("fail", value >= needed, what, f"{value:g}", remedy)


def logs(target: Target, what: str, job: str | None, minutes: int) -> Iterator[str]:
    """Lines of the groups that match, oldest first.

    Raises:
        InvalidRequest: no group or job has that name.
    """
    client = target.client("logs")
    since = int((time.time() - 60 * minutes) * 1000)
    if job is not None:
        streams = _job_streams(client, job)
        if not streams:
            raise InvalidRequest(
                f"no training job {job} has logged", remedy="The alert and the report of a training name its job."
            )
        yield from _lines(client, _JOB_LOGS, since, logStreamNames=streams)
        return
    prefix = f"/aws/lambda/{target.stack}-{what}"
    groups = [
        group["logGroupName"]
        for page in client.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=prefix)
        for group in page["logGroups"]
    ]
    if not groups:
        raise InvalidRequest(
            f"no function is called {what}", remedy="Name a stage (serve) or a function (serve-infer)."
        )
    for group in groups:
        yield f"== {group}"
        yield from _lines(client, group, since)


def _lines(client: Any, group: str, since: int, **more: Any) -> Iterator[str]:
    for page in client.get_paginator("filter_log_events").paginate(logGroupName=group, startTime=since, **more):
        for event in page["events"]:
            yield event["message"].rstrip()


def _forget_packages(target: Target, group: str) -> Iterator[str]:
    client = target.client("sagemaker")
    try:
        pages = client.get_paginator("list_model_packages").paginate(ModelPackageGroupName=group)
        arns = [item["ModelPackageArn"] for page in pages for item in page["ModelPackageSummaryList"]]
    except ClientError as error:
        if "does not exist" in str(error):
            return
        raise
    for arn in arns:
        client.delete_model_package(ModelPackageName=arn)
    client.delete_model_package_group(ModelPackageGroupName=group)
    yield f"deleted the package group {group} with {len(arns)} versions"


def _empty(target: Target, bucket: str) -> int:
    client, count = target.client("s3"), 0
    for page in client.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [
            {"Key": item["Key"], "VersionId": item["VersionId"]}
            for kind in ("Versions", "DeleteMarkers")
            for item in page.get(kind, [])
        ]
        if found:
            client.delete_objects(Bucket=bucket, Delete={"Objects": found, "Quiet": True})
            count += len(found)
    return count


def _forget_job_logs(target: Target) -> int:
    client = target.client("logs")
    streams = _job_streams(client, f"{target.environment}-")
    for stream in streams:
        client.delete_log_stream(logGroupName=_JOB_LOGS, logStreamName=stream)
    return len(streams)


def _job_streams(client: Any, prefix: str) -> list[str]:
    """Log streams of the training jobs whose names begin so."""
    pages = client.get_paginator("describe_log_streams").paginate(logGroupName=_JOB_LOGS, logStreamNamePrefix=prefix)
    try:
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    except client.exceptions.ResourceNotFoundException:
        return []


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """The CDK says much: headlines stay; of the rest, the newest line shows on a terminal that it moves."""
    with console.status("") as status:

        def tell(line: str) -> None:
            said = line.strip()
            if said.startswith(_HEADLINES):
                console.print(f"  {said}", markup=False)
            elif said:
                status.update(f"[dim]{escape(said[: console.width - 10])}[/]")

        yield tell
