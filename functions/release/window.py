"""What callers got since a step began, and the same rows under both models."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import numpy as np
import onnxruntime
from pydantic import ValidationError

from interlock.aws.objects import Objects
from interlock.errors import ChecksumMismatch
from interlock.inference import Session, Value, feeds, headline, places, scores
from interlock.kind import Kind
from interlock.models import DeployedModel
from interlock.records import Candidate, LiveRelease, ServedModel
from interlock.stats.drift.reference import Reference
from interlock.stats.performance.captured import expected
from release.traffic import Arm, Floats, Ints, Traffic

_TIMED = 200
_EMPTY = np.empty(0)
_NO_REFERENCE = "the training of version {} has kept nothing to estimate by"


@dataclass(frozen=True)
class Pair:
    """Both versions on the same rows, those that the champion answered; `reason` says why there are none."""

    left_out: int = 0
    champion_scores: Floats = field(default_factory=lambda: _EMPTY)
    challenger_scores: Floats = field(default_factory=lambda: _EMPTY)
    champion_places: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    challenger_places: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    champion_milliseconds: Floats = field(default_factory=lambda: _EMPTY)
    reason: str = ""

    @property
    def rows(self) -> int:
        """How many rows both have answered."""
        return len(self.champion_scores)


@dataclass(frozen=True)
class Window:
    """A step's evidence."""

    champion: Arm
    challenger: Arm
    pair: Pair


class Version:
    """A version that can be asked here, as the serving function asks it."""

    def __init__(self, artefacts: Objects, candidate: Candidate) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.served = ServedModel.from_json(artefacts.get(candidate.served))
        self.session: Session = onnxruntime.InferenceSession(
            artefacts.get(self.served.onnx), options, providers=["CPUExecutionProvider"]
        )

    def answer(self, columns: Mapping[str, Sequence[Value]]) -> tuple[Floats, Ints]:
        """Scores and classes' places [rows]."""
        kind, found = self.served.kind, scores(self.session, feeds(self.served.inputs, columns))
        named = np.empty(0, np.int64) if kind is Kind.REGRESSION else places(kind, found, self.served.threshold)
        return headline(kind, found), named

    def milliseconds(self, columns: Mapping[str, Sequence[Value]]) -> Floats:
        """What a call of one row takes, row by row."""
        taken = []
        for row in range(min(_TIMED, len(next(iter(columns.values()))))):
            one = {name: values[row : row + 1] for name, values in columns.items()}
            started = time.perf_counter()
            scores(self.session, feeds(self.served.inputs, one))
            taken.append(1000 * (time.perf_counter() - started))
        return np.array(taken)


def gather(
    data: Objects, artefacts: Objects, model: DeployedModel, live: LiveRelease, at: datetime, scratch: Path
) -> Window:
    """The evidence of the step that `live` is in, up to `at`."""
    champion, challenger, began = live.champion, live.challenger, live.began
    assert champion is not None  # noqa: S101 - a step bakes only beside a champion
    assert challenger is not None  # noqa: S101
    assert began is not None  # noqa: S101
    traffic = Traffic(data, model, began, at, scratch, routed=live.share > 0)
    first = Version(artefacts, champion)
    one = _promising(traffic, artefacts, champion, traffic.arm(champion.version, first.served.threshold))
    try:
        second = Version(artefacts, challenger)
        pair, shadow = _compare(traffic, first, second)
        if live.share == 0:
            two = _shadow_promising(artefacts, challenger, shadow)
        else:
            two = traffic.arm(challenger.version, second.served.threshold)
            two = _promising(traffic, artefacts, challenger, two)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the challenger's, and evidence against it
        pair = Pair(reason=f"it cannot be asked: {type(error).__name__}")
        two = traffic.arm(challenger.version, None)
    if live.share == 0:
        # In the shadow nobody but us asks it: both are timed here.
        one = replace(one, milliseconds=pair.champion_milliseconds)
        if pair.reason:
            two = traffic.silent(challenger.version, failures=one.calls)
    return Window(one, two, pair)


def _promising(traffic: Traffic, artefacts: Objects, candidate: Candidate, arm: Arm) -> Arm:
    """The arm with what its answers promise without a label."""
    reference = _reference(artefacts, candidate)
    if reference is None:
        return replace(arm, unestimated=_NO_REFERENCE.format(candidate.version))
    return replace(arm, estimated=traffic.estimated(candidate.version, reference))


def _shadow_promising(artefacts: Objects, candidate: Candidate, arm: Arm) -> Arm:
    """The same of answers that nobody got: by the scores alone, since the columns are the champion's captures."""
    reference = _reference(artefacts, candidate)
    if reference is None:
        return replace(arm, unestimated=_NO_REFERENCE.format(candidate.version))
    if reference.expected is not None and reference.expected.kind is Kind.REGRESSION:
        return replace(arm, unestimated="in the shadow a regression's error is not estimated")
    return replace(arm, estimated=expected(reference, arm.scores, {}, len(arm.scores)))


def _reference(artefacts: Objects, candidate: Candidate) -> Reference | None:
    """What a version's training has kept; None when that says nothing of how good it is."""
    try:
        found = Reference.from_json(artefacts.get(candidate.reference))
    except (ValidationError, ChecksumMismatch):
        return None
    return found if found.expected is not None else None


def _compare(traffic: Traffic, champion: Version, challenger: Version) -> tuple[Pair, Arm]:
    """The champion's rows put to the challenger.

    Raises:
        Exception: whatever the challenger raises.
    """
    silent = traffic.silent(challenger.served.version)
    if (challenger.served.kind, challenger.served.classes) != (champion.served.kind, champion.served.classes):
        return Pair(reason="the two predict other things"), silent
    # Bins of a restricted column are those of the version that captured it.
    own = {item.name: item for item in champion.served.inputs}
    if unknown := [item.name for item in challenger.served.inputs if item.name not in own]:
        return Pair(reason=f"the champion is not sent {', '.join(unknown)}"), silent
    columns, answered, left_out = traffic.whole(
        champion.served.version, [own[item.name] for item in challenger.served.inputs]
    )
    if not len(answered["request_id"]):
        return Pair(left_out), silent
    champion_fits = {item.name for item in champion.served.inputs} <= set(columns)
    scored, named = challenger.answer(columns)
    shadow = traffic.shadow(challenger.served, answered, (scored, named), challenger.milliseconds(columns))
    well = np.isfinite(scored)
    champion_places = traffic.places(answered["label"])
    return (
        Pair(
            left_out=left_out,
            champion_scores=np.asarray(answered["score"], dtype=np.float64)[well],
            challenger_scores=scored[well],
            champion_places=champion_places[well] if len(champion_places) else champion_places,
            challenger_places=named[well] if len(named) else named,
            champion_milliseconds=champion.milliseconds(columns) if champion_fits else _EMPTY,
        ),
        shadow,
    )
