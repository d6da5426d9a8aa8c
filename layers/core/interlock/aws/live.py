"""What serves: the live release as the state table has it, and its champion as the buckets have it."""

from __future__ import annotations

from interlock import keys
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.models import DeployedModel
from interlock.records import LiveRelease, ServedModel


def live_release(state: State, model: str) -> LiveRelease | None:
    """What serves now; None before the first release."""
    return state.get(LiveRelease, f"model#{model}", "live")


def champion(state: State, data: Objects, artefacts: Objects, model: str) -> tuple[DeployedModel, ServedModel] | None:
    """The contract and spec that the serving version was trained by, and what it answers; None when nothing serves.

    Raises:
        ChecksumMismatch: what it answers by is not what was recorded.
    """
    live = live_release(state, model)
    if live is None or live.champion is None:
        return None
    trained_by = data.raw(keys.training(model, live.champion.run, "model.json"))
    return DeployedModel.from_json(trained_by), ServedModel.from_json(artefacts.get(live.champion.served))
