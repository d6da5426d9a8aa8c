"""Score: a file in, its predictions out; a part of the stage serve, whose code answers."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from constructs import Construct

from infra.foundation import Foundation
from infra.function import StageFunction
from infra.workflow import Workflow, begin, choose, each, fail, jsonata, may_ask_for_owners, succeed, task

_FILE = {"bucket": jsonata("$bucket"), "key": jsonata("$key"), "version": jsonata("$version")}
_EXECUTION = jsonata("$states.context.Execution.Id")
_SUBJECT = {"claim": jsonata("$claim"), "model": jsonata("$model"), "release": jsonata("$release")}
_FAILED = [("States.ALL", "GiveBack")]
_MINUTES = Duration.minutes(15)


class Score(Construct):
    """claim → score, or cut → pieces → finish."""

    def __init__(self, scope: Construct, foundation: Foundation) -> None:
        super().__init__(scope, "Score")
        take = (
            _function(self, foundation, "take", "Takes a file to score once", timeout=Duration.minutes(1))
            .reads("score/")
            .keeps_state()
        )
        may_ask_for_owners(take, foundation, "score")
        cut = (
            _function(self, foundation, "cut", "Cuts a large file into pieces", ["tabular"], 3008, 10240)
            .reads("score/")
            .reads_artefacts("models/")
            .writes("scoring/")
        )
        # One processor, which is what onnxruntime is given.
        part = (
            _function(self, foundation, "part", "Scores a file or a piece", ["numeric", "onnx", "tabular"], 1769, 10240)
            .reads("score/", "scoring/")
            .reads_artefacts("models/")
            .writes("scoring/")
        )
        finish = (
            _function(self, foundation, "finish", "Puts the predictions together", ["tabular"], 1769, 10240)
            .reads("scoring/")
            .writes("predictions/")
            .keeps_state()
            .publishes()
        )
        failed = (
            _function(self, foundation, "fail", "Answers for a file that was not scored", timeout=Duration.minutes(1))
            .writes("predictions/")
            .keeps_state()
            .publishes()
            .alerts()
        )
        self.workflow = Workflow(
            self,
            foundation,
            "score",
            {
                "Start": begin(
                    {
                        "bucket": jsonata("$states.input.detail.bucket.name"),
                        "key": jsonata("$states.input.detail.object.key"),
                        "version": jsonata("$states.input.detail.object.`version-id`"),
                        "source": {},
                    },
                    "Claim",
                ),
                "Claim": task(
                    take,
                    {**_FILE, "execution": _EXECUTION},
                    assign={
                        name: jsonata(f"$states.result.Payload.{name}")
                        for name in ("claim", "model", "kind", "release", "piece")
                    },
                    catch=[("AlreadyClaimed", "AlreadyTaken"), *_FAILED],
                    next_state="OneOrMany",
                ),
                "OneOrMany": choose("$kind = 'pieces'", "Cut", "Score"),
                "Score": task(
                    part,
                    {**_SUBJECT, "piece": jsonata("$piece")},
                    assign={"answers": jsonata("$states.result.Payload")},
                    catch=_FAILED,
                    next_state="Finish",
                ),
                "Cut": task(
                    cut,
                    {**_SUBJECT, "piece": jsonata("$piece")},
                    assign={
                        "items": jsonata("$states.result.Payload.items"),
                        "source": jsonata("$states.result.Payload.source"),
                    },
                    catch=_FAILED,
                    next_state="Pieces",
                ),
                "Pieces": each(
                    {"Key": jsonata("$items.key"), "VersionId": jsonata("$items.version")},
                    task(
                        part,
                        {name: jsonata(f"$states.input.{name}") for name in (*_SUBJECT, "piece")},
                        next_state=None,
                    ),
                    {**_SUBJECT, "piece": jsonata("$states.context.Map.Item.Value")},
                    bucket=foundation.data.bucket_name,
                    results=jsonata("'scoring/' & $model & '/' & $claim & '/answers'"),
                    label="Pieces",
                    assign={"answers": jsonata("$states.result.ResultWriterDetails")},
                    catch=_FAILED,
                    next_state="Finish",
                ),
                "Finish": task(
                    finish,
                    {
                        **_SUBJECT,
                        "key": jsonata("$key"),
                        "execution": _EXECUTION,
                        "answers": jsonata("$answers"),
                        "source": jsonata("$source"),
                    },
                    catch=_FAILED,
                    next_state="Scored",
                ),
                "GiveBack": task(
                    failed,
                    {**_FILE, "execution": _EXECUTION, "error": jsonata("$error"), "cause": jsonata("$cause")},
                    next_state="WhoseFault",
                ),
                "WhoseFault": choose("$error in ['InvalidUpload', 'UnknownModel', 'NotServing']", "Refused", "Failed"),
                "Scored": succeed(),
                "Refused": succeed(),
                "AlreadyTaken": succeed(),
                "Failed": fail(),
            },
            functions=[take, cut, part, finish, failed],
            # Of a file in pieces; a claim lasts an hour longer.
            timeout=Duration.hours(12),
        )
        self.workflow.runs_each(foundation.data, "scoring/")
        self.workflow.starts_on(
            "OnFile",
            events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [foundation.data.bucket_name]},
                    "object": {"key": [{"prefix": "score/"}]},
                },
            ),
        )


def _function(
    scope: Construct,
    foundation: Foundation,
    module: str,
    description: str,
    layers: list[str] | None = None,
    memory: int = 512,
    scratch_mb: int = 512,
    timeout: Duration = _MINUTES,
) -> StageFunction:
    return StageFunction(
        scope,
        foundation,
        "serve",
        f"score.{module}",
        description,
        layers=layers or [],
        memory=memory,
        timeout=timeout,
        scratch_mb=scratch_mb,
    )
