"""Trainings: what they were made from, who may run, what they cost."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from interlock.records.objects import ObjectRef
from interlock.schema import Model
from interlock.spec import ModelId


class TrainingManifest(Model):
    """What a run was trained on. `id` is the hash of the datasets, the contract, the spec and the user's script.

    `settings` is the DeployedModel as it was when the run began; `skipped` names admitted datasets whose columns no
    longer fit the contract.
    """

    schema_version: Literal[1] = 1
    id: str
    model: ModelId
    run: str
    datasets: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    sources: tuple[ObjectRef, ...]
    settings: ObjectRef
    train: ObjectRef
    holdout_features: ObjectRef
    holdout: ObjectRef
    reference: ObjectRef
    train_rows: int
    holdout_rows: int
    contract_version: str
    contract_sha256: str
    spec_sha256: str


class Lease(Model):
    """The one training of a model that may run; it ends by itself at `expires_at`."""

    schema_version: Literal[1] = 1
    model: str
    execution: str
    run: str
    reason: str
    expires_at: datetime


class PendingTraining(Model):
    """A training that was asked for while another one ran; the next one answers it."""

    schema_version: Literal[1] = 1
    model: ModelId
    reason: str
    requested_by: str
    at: datetime


class EndedJob(Model):
    """What a training job cost, whatever came out of it. Stored as `job#<run>`; a run's id begins with its day."""

    schema_version: Literal[1] = 1
    model: ModelId
    run: str
    job: str
    status: str
    instance: str
    billable_seconds: int
    ended_at: datetime


class OpenToken(Model):
    """A launched job whose end the workflow is waiting for."""

    schema_version: Literal[1] = 1
    job: str
    token: str
    model: str
    run: str
    opened_at: datetime
    expires_at: datetime
