"""Ingest: an upload in, an admitted dataset or a quarantine out."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from constructs import Construct

from infra.foundation import Foundation
from infra.function import StageFunction
from infra.workflow import Workflow, begin, choose, each, fail, jsonata, may_ask_for_owners, succeed, task

_UPLOAD = {"bucket": jsonata("$bucket"), "key": jsonata("$key"), "version": jsonata("$version")}
_EXECUTION = jsonata("$states.context.Execution.Id")
# One file of a set: where the list of them lies, what each is given, where their answers go.
_ITEMS = {"Key": jsonata("$items.key"), "VersionId": jsonata("$items.version")}
_GIVEN = {"claim": jsonata("$claim"), "model": jsonata("$model"), "part": jsonata("$states.context.Map.Item.Value")}
_ITEM = {name: jsonata(f"$states.input.{name}") for name in _GIVEN}
_RESULTS = jsonata("'sets/' & $model & '/' & $claim & '/answers'")
_WRITTEN = jsonata("$states.result.ResultWriterDetails")
_SUBJECT = {"claim": jsonata("$claim"), "model": jsonata("$model")}


class Ingest(Construct):
    """claim → validate → admit or reject."""

    def __init__(self, scope: Construct, foundation: Foundation) -> None:
        super().__init__(scope, "Ingest")
        bucket = foundation.data.bucket_name
        claim = StageFunction(self, foundation, "ingest", "claim", "Takes an upload once").keeps_state()
        may_ask_for_owners(claim, foundation, "ingest")
        validate = (
            _engine(self, foundation, "validate", "Judges an upload against its contract")
            .reads("incoming/", "reports/", "training/")
            .sees_state()
            .writes("datasets/", "quarantine/", "reports/")
        )
        plan = (
            StageFunction(
                self, foundation, "ingest", "plan", "Reads the manifest of a set", timeout=Duration.minutes(5)
            )
            .reads("incoming/", "parts/")
            .writes("sets/")
        )
        part = (
            _engine(self, foundation, "part", "Judges one file of a set")
            .reads("parts/", "sets/")
            .writes("datasets/", "quarantine/", "sets/")
        )
        doubles = (
            _engine(self, foundation, "doubles", "Finds keys that are in several files of a set")
            .reads("sets/")
            .writes("sets/")
        )
        merge = (
            _engine(self, foundation, "merge", "Judges a set as a whole")
            .reads("incoming/", "datasets/", "quarantine/", "reports/", "sets/", "training/")
            .sees_state()
            .writes("datasets/", "quarantine/", "reports/")
        )
        # Or S3 says of a missing file that it is forbidden.
        for function, prefix in ((plan, "parts/*"), (validate, "training/*"), (merge, "training/*")):
            only = {"StringLike": {"s3:prefix": [prefix]}}
            function.may("tell what is missing", ["s3:ListBucket"], [foundation.data.bucket_arn], only)
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
                        "again": {},
                    },
                    "Claim",
                ),
                "Claim": task(
                    claim,
                    {**_UPLOAD, "execution": _EXECUTION},
                    assign={
                        "claim": jsonata("$states.result.Payload.claim"),
                        "model": jsonata("$states.result.Payload.model"),
                        "kind": jsonata("$states.result.Payload.kind"),
                    },
                    catch=[("AlreadyClaimed", "AlreadyTaken"), ("States.ALL", "GiveBack")],
                    next_state="OneOrMany",
                ),
                "OneOrMany": choose("$kind = 'set'", "Plan", "Validate"),
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
                "Plan": task(
                    plan,
                    {**_UPLOAD, **_SUBJECT},
                    assign={"items": jsonata("$states.result.Payload.items")},
                    catch=[("States.ALL", "GiveBack")],
                    next_state="Files",
                    seconds=300,
                ),
                "Files": each(
                    _ITEMS,
                    task(part, _ITEM, next_state=None),
                    _GIVEN,
                    bucket=bucket,
                    results=_RESULTS,
                    label="Files",
                    assign={"results": _WRITTEN},
                    catch=[("States.ALL", "GiveBack")],
                    next_state="Doubles",
                ),
                "Doubles": task(
                    doubles,
                    {**_SUBJECT, "results": jsonata("$results")},
                    assign={
                        "items": jsonata("$states.result.Payload.items"),
                        "doubled": jsonata("$states.result.Payload.files"),
                    },
                    catch=[("States.ALL", "GiveBack")],
                    next_state="AnyDoubles",
                ),
                "AnyDoubles": choose("$doubled > 0", "FilesAgain", "Merge"),
                "FilesAgain": each(
                    _ITEMS,
                    task(part, _ITEM, next_state=None),
                    _GIVEN,
                    bucket=bucket,
                    results=_RESULTS,
                    label="FilesAgain",
                    assign={"again": _WRITTEN},
                    catch=[("States.ALL", "GiveBack")],
                    next_state="Merge",
                ),
                "Merge": task(
                    merge,
                    {**_UPLOAD, **_SUBJECT, "results": jsonata("$results"), "again": jsonata("$again")},
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
            functions=[claim, validate, plan, part, doubles, merge, admit, reject, failed],
            # Of a set; a claim lasts an hour longer.
            timeout=Duration.hours(12),
        )
        self.workflow.runs_each(foundation.data, "sets/")
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


def _engine(scope: Construct, foundation: Foundation, module: str, description: str) -> StageFunction:
    """A function that holds data, as large and for as long as Lambda lets it."""
    return StageFunction(
        scope,
        foundation,
        "ingest",
        module,
        description,
        layers=["numeric", "tabular"],
        memory=3008,
        timeout=Duration.minutes(15),
        scratch_mb=10240,
    )
