"""Launches the training job; the workflow then waits for its token."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from interlock import keys
from interlock.aws.jobs import Tokens, TrainingJobs
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.errors import TrainingFailed
from interlock.models import DeployedModel
from interlock.observability import logger, observed
from interlock.records import ObjectRef, OpenToken, TrainingManifest
from interlock.settings import ArtefactsBucket, DataBucket, StateTable
from train.request import Deployment, prefix, training_request
from train.settlement import TOKENS, forget, settle

# A token is looked after as long as the workflow can possibly wait.
_KEPT = timedelta(days=2)


class Settings(DataBucket, ArtefactsBucket, StateTable):
    """What this function uses."""

    training_role: str
    training_image: str
    training_instance: str
    code_uri: str
    wheelhouse_uri: str


@observed
def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, str]:
    """{model, run, manifest, token} → {job}; the workflow goes on when the token is answered.

    Raises:
        TrainingFailed: SageMaker refuses the job.
    """
    settings = Settings.load()
    logger.append_keys(model=event["model"], run=event["run"])
    data = Objects(settings.data_bucket)
    manifest = TrainingManifest.from_json(data.get(ObjectRef.model_validate(event["manifest"])))
    deployment = Deployment(
        environment=settings.environment,
        role=settings.training_role,
        image=settings.training_image,
        instance=settings.training_instance,
        code_uri=settings.code_uri,
        wheelhouse_uri=settings.wheelhouse_uri,
        artefacts_bucket=settings.artefacts_bucket,
    )
    job = launch(
        State(settings.state_table),
        TrainingJobs(),
        Tokens(),
        deployment,
        DeployedModel.from_json(data.get(manifest.settings)),
        manifest,
        event["token"],
        datetime.now(UTC),
    )
    return {"job": job}


def launch(
    state: State,
    jobs: TrainingJobs,
    tokens: Tokens,
    deployment: Deployment,
    model: DeployedModel,
    manifest: TrainingManifest,
    token: str,
    now: datetime,
) -> str:
    """Store the token, then launch: a job may end before this returns. Answers the job's name.

    A job of this name that exists was launched by an earlier try of the same run: its end is waited for, or told at
    once when it is over.

    Raises:
        TrainingFailed: SageMaker refuses the job.
    """
    name = keys.job_name(deployment.environment, model.id, manifest.run)
    waiting = OpenToken(job=name, token=token, model=model.id, run=manifest.run, opened_at=now, expires_at=now + _KEPT)
    state.put(TOKENS, name, waiting)
    request = training_request(
        deployment,
        model,
        manifest,
        name,
        prefix(manifest.train, "/channels/"),
        f"s3://{deployment.artefacts_bucket}/{keys.job_output(model.id)}",
    )
    try:
        launched = jobs.create(request)
    except TrainingFailed:
        forget(state, waiting)
        raise
    if not launched:
        logger.info("the job exists already; waiting for its end", job=name)
        if (job := jobs.describe(name)) is not None:
            settle(state, tokens, job)
    return name
