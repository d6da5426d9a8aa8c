"""The states of a training: lease → freeze → launch (SageMaker) → evaluate → gate → register or reject → conclude."""

from __future__ import annotations

from infra.function import StageFunction
from infra.workflow import State, begin, choose, fail, jsonata, succeed, task

_RUN = {"model": jsonata("$model"), "run": jsonata("$run")}
_EXECUTION = jsonata("$states.context.Execution.Id")
_MANIFEST = {**_RUN, "manifest": jsonata("$manifest")}


def states(
    *,
    acquire: StageFunction,
    freeze: StageFunction,
    launch: StageFunction,
    evaluate: StageFunction,
    gate: StageFunction,
    register: StageFunction,
    reject: StageFunction,
    conclude: StageFunction,
    launch_seconds: int,
) -> dict[str, State]:
    """Whatever ends a run that has the lease, it ends in Conclude; a job is waited for at most so long."""
    return {
        "Start": begin(
            {
                "event": jsonata("$states.input.`detail-type`"),
                "detail": jsonata("$states.input.detail"),
                "model": jsonata("$states.input.detail.model"),
                "run": "",
                "outcome": "registered",
                "error": "",
                "cause": "",
                "job": {},
            },
            "Acquire",
        ),
        "Acquire": task(
            acquire,
            {
                "event": jsonata("$event"),
                "detail": jsonata("$detail"),
                "execution": _EXECUTION,
                "started": jsonata("$states.context.Execution.StartTime"),
            },
            assign={
                "go": jsonata("$states.result.Payload.go"),
                "run": jsonata("$states.result.Payload.run"),
                "reason": jsonata("$states.result.Payload.reason"),
            },
            catch=[("LeaseHeld", "Waiting"), ("States.ALL", "Failed")],
            next_state="Needed",
        ),
        "Needed": choose("$go", "Freeze", "NotNeeded"),
        "Freeze": task(
            freeze,
            {**_RUN, "reason": jsonata("$reason"), "execution": _EXECUTION},
            assign={"manifest": jsonata("$states.result.Payload.manifest")},
            catch=[("NothingNew", "NothingNew"), ("States.ALL", "GiveUp")],
            next_state="Launch",
        ),
        "Launch": task(
            launch,
            {**_MANIFEST, "token": jsonata("$states.context.Task.Token")},
            wait_for_token=True,
            seconds=launch_seconds,
            assign={"job": jsonata("$states.result")},
            catch=[("States.ALL", "GiveUp")],
            next_state="Evaluate",
        ),
        "Evaluate": task(
            evaluate,
            {**_MANIFEST, "job": jsonata("$job")},
            assign={"evaluation": jsonata("$states.result.Payload.evaluation")},
            catch=[("States.ALL", "GiveUp")],
            next_state="Gate",
        ),
        "Gate": task(
            gate,
            {**_MANIFEST, "evaluation": jsonata("$evaluation")},
            assign={
                "verdict": jsonata("$states.result.Payload.verdict"),
                "passed": jsonata("$states.result.Payload.passed"),
            },
            catch=[("States.ALL", "GiveUp")],
            next_state="Passed",
        ),
        "Passed": choose("$passed", "Register", "Reject"),
        "Register": task(
            register,
            {
                **_MANIFEST,
                "evaluation": jsonata("$evaluation"),
                "verdict": jsonata("$verdict"),
                "job": jsonata("$job"),
            },
            catch=[("States.ALL", "GiveUp")],
            next_state="Conclude",
        ),
        "Reject": task(
            reject,
            {**_RUN, "verdict": jsonata("$verdict")},
            assign={"outcome": "rejected"},
            catch=[("States.ALL", "GiveUp")],
            next_state="Conclude",
        ),
        "NothingNew": {"Type": "Pass", "Assign": {"outcome": "nothing_new"}, "Next": "Conclude"},
        "GiveUp": {"Type": "Pass", "Assign": {"outcome": "failed"}, "Next": "Conclude"},
        "Conclude": task(
            conclude,
            {
                **_RUN,
                "execution": _EXECUTION,
                "outcome": jsonata("$outcome"),
                "error": jsonata("$error"),
                "cause": jsonata("$cause"),
                "job": jsonata("$job"),
            },
            next_state="Ended",
        ),
        "Ended": choose("$outcome = 'failed'", "Failed", "Done"),
        "Done": succeed(),
        "NotNeeded": succeed(),
        "Waiting": succeed(),
        "Failed": fail(),
    }
