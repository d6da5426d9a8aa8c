"""The documents that stages hand to each other and keep; a module a part of a model's life."""

from __future__ import annotations

from interlock.records.data import Claim, ClaimStatus, Dataset, Mode, Origin, Repeat
from interlock.records.objects import FileList, ObjectRef
from interlock.records.persons import LineageMark, Pseudonyms
from interlock.records.serving import Candidate, Input, LiveRelease, Probe, ServedModel
from interlock.records.training import EndedJob, Lease, OpenToken, PendingTraining, TrainingManifest
from interlock.records.verdicts import Check, CheckedWindow, CheckStatus, MetricPoint, Verdict

__all__ = [
    "Candidate",
    "Check",
    "CheckStatus",
    "CheckedWindow",
    "Claim",
    "ClaimStatus",
    "Dataset",
    "EndedJob",
    "FileList",
    "Input",
    "Lease",
    "LineageMark",
    "LiveRelease",
    "MetricPoint",
    "Mode",
    "ObjectRef",
    "OpenToken",
    "Origin",
    "PendingTraining",
    "Probe",
    "Pseudonyms",
    "Repeat",
    "ServedModel",
    "TrainingManifest",
    "Verdict",
]
