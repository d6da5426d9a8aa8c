"""Ingest: an upload in, an admitted dataset or a quarantine out."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from constructs import Construct

from infra.foundation import Foundation
from infra.function import StageFunction
from infra.workflow import Workflow, begin, choose, fail, jsonata, succeed, task

_UPLOAD = {"bucket": jsonata("$bucket"), "key": jsonata("$key"), "version": jsonata("$version")}
_EXECUTION = jsonata("$states.context.Execution.Id")
_SUBJECT = {"claim": jsonata("$claim"), "model": jsonata("$model")}


class Ingest(Construct):
    """claim → validate → admit or reject."""

    def __init__(self, scope: Construct, foundation: Foundation) -> None:
        super().__init__(scope, "Ingest")
        claim = StageFunction(self, foundation, "ingest", "claim", "Takes an upload once").keeps_state()
        validate = (
            StageFunction(
                self,
                foundation,
                "ingest",
                "validate",
                "Judges an upload against its contract",
                layers=["numeric", "tabular"],
                memory=3008,
                timeout=Duration.minutes(15),
                scratch_mb=10240,
            )
            .reads("incoming/", "reports/")
            .sees_state()
            .writes("datasets/", "quarantine/", "reports/")
        )
        admit = (
            StageFunction(self, foundation, "ingest", "admit", "Makes an upload a dataset")
            .reads("reports/")
            .keeps_state()
            .records_decisions()
            .publishes()
        )
        reject = (
            StageFunction(self, foundation, "ingest", "reject", "Leaves an upload in quarantine")
            .reads("reports/")
            .keeps_state()
            .records_decisions()
            .publishes()
            .alerts()
        )
        failed = (
            StageFunction(self, foundation, "ingest", "fail", "Gives a failed claim back and tells a person")
            .keeps_state()
            .records_decisions()
            .alerts()
        )
        self.workflow = Workflow(
            self,
            foundation,
            "ingest",
            {
                "Start": begin(
                    {
                        "bucket": jsonata("$states.input.detail.bucket.name"),
                        "key": jsonata("$states.input.detail.object.key"),
                        "version": jsonata("$states.input.detail.object.`version-id`"),
                        "claim": "",
                        "model": "",
                    },
                    "Claim",
                ),
                "Claim": task(
                    claim,
                    {**_UPLOAD, "execution": _EXECUTION},
                    assign={
                        "claim": jsonata("$states.result.Payload.claim"),
                        "model": jsonata("$states.result.Payload.model"),
                    },
                    catch=[("AlreadyClaimed", "AlreadyTaken"), ("States.ALL", "GiveBack")],
                    next_state="Validate",
                ),
                "Validate": task(
                    validate,
                    {**_UPLOAD, **_SUBJECT},
                    assign={
                        "verdict": jsonata("$states.result.Payload.verdict"),
                        "result": jsonata("$states.result.Payload.result"),
                    },
                    catch=[("States.ALL", "GiveBack")],
                    next_state="Judge",
                ),
                "Judge": choose("$verdict = 'admit'", "Admit", "Reject"),
                "Admit": task(
                    admit,
                    {**_SUBJECT, "execution": _EXECUTION, "result": jsonata("$result")},
                    assign={"outcome": jsonata("$states.result.Payload.outcome")},
                    catch=[("States.ALL", "GiveBack")],
                    next_state="Kept",
                ),
                "Kept": choose("$outcome = 'duplicate'", "Duplicate", "Admitted"),
                "Reject": task(
                    reject,
                    {**_SUBJECT, "execution": _EXECUTION, "result": jsonata("$result")},
                    catch=[("States.ALL", "GiveBack")],
                    next_state="Rejected",
                ),
                "GiveBack": task(
                    failed,
                    {
                        **_UPLOAD,
                        **_SUBJECT,
                        "execution": _EXECUTION,
                        "error": jsonata("$error"),
                        "cause": jsonata("$cause"),
                    },
                    next_state="WhoseFault",
                ),
                "WhoseFault": choose("$error in ['InvalidUpload', 'UnknownModel']", "Refused", "Failed"),
                "Admitted": succeed(),
                "Duplicate": succeed(),
                "Rejected": succeed(),
                "Refused": succeed(),
                "AlreadyTaken": succeed(),
                "Failed": fail(),
            },
            functions=[claim, validate, admit, reject, failed],
            timeout=Duration.hours(1),
        )
        self.workflow.starts_on(
            "OnUpload",
            events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [foundation.data.bucket_name]},
                    "object": {"key": [{"prefix": "incoming/"}]},
                },
            ),
        )
