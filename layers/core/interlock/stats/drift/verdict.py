"""The verdict on a window of traffic: its columns, how they go together, its segments, then the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from interlock.spec import Drift
from interlock.stats.drift import evidently
from interlock.stats.drift.column import TESTS, judge_as_evidently, judge_column, strength
from interlock.stats.drift.counted import Counted
from interlock.stats.drift.found import ColumnDrift, SegmentDrift, State, TogetherDrift, WindowDrift
from interlock.stats.drift.significance import normal_tail
from interlock.stats.drift.together import Comparison

_ORDER: dict[State, int] = {"drift": 0, "warn": 1, "stable": 2, "too_few": 3}


@dataclass(frozen=True)
class CountedSegment:
    """The rows of a window with one value of a column, counted; columns as far as training has them."""

    column: str
    value: str
    rows: int
    columns: tuple[Counted, ...]


def judge(
    columns: Sequence[Counted],
    rows: int,
    policy: Drift,
    together: Comparison | None = None,
    segments: Sequence[CountedSegment] = (),
) -> WindowDrift:
    """Judge a window.

    A column drifts when something about it is both large by the policy and more than chance gives at these sample
    sizes; the chance is the policy's false-alarm rate of the whole window, shared among all tests (Bonferroni).
    """
    few = rows < policy.min_rows
    tests = TESTS * (len(columns) + sum(len(segment.columns) for segment in segments))
    tests += together.pairs + 1 if together else 0
    rate = policy.false_alarm_rate / max(1, tests)
    if policy.method == "evidently":
        return _as_evidently(columns, policy, rows, few=few)
    judged = sorted((judge_column(column, policy, rate, few=few) for column in columns), key=_by_strength(policy))
    parts = [_segment(segment, policy, rate) for segment in segments]
    joint = _together(together, policy, rate, few=few) if together else None
    states: list[State] = [column.state for column in judged[:1]]
    states += [part.state for part in parts if part.state != "too_few"]
    states += [joint.state] if joint else []
    state: State = "too_few" if few or not judged else min(states, key=_ORDER.__getitem__)
    return WindowDrift(state=state, rows=rows, columns=tuple(judged), together=joint, segments=tuple(parts))


def _by_strength(policy: Drift) -> Callable[[ColumnDrift], tuple[int, float]]:
    return lambda column: (_ORDER[column.state], -strength(column, policy))


def _segment(segment: CountedSegment, policy: Drift, rate: float) -> SegmentDrift:
    few = segment.rows < policy.min_rows
    judged = sorted(
        (judge_column(column, policy, rate, few=few) for column in segment.columns), key=_by_strength(policy)
    )
    worst = judged[0] if judged else None
    return SegmentDrift(
        column=segment.column,
        value=segment.value,
        state="too_few" if few or worst is None else worst.state,
        rows=segment.rows,
        drifted=tuple(column.column for column in judged if column.state == "drift"),
        reason=f"{worst.column}: {worst.reason}" if worst and worst.state in {"drift", "warn"} else "as in training",
    )


def _together(found: Comparison, policy: Drift, rate: float, *, few: bool) -> TogetherDrift:
    """Judge the pairs and the error; what goes together otherwise may mislead a model more than a moved column."""
    reasons: list[str] = []
    if abs(found.now - found.before) >= policy.correlation_change and normal_tail(found.z) <= rate:
        one, other = found.pair
        reasons.append(f"{one} and {other} correlate by {found.now:.2f} instead of {found.before:.2f}")
    if found.effect >= policy.reconstruction_change and normal_tail(found.error_z) <= rate:
        reasons.append(
            f"rows lie {found.error_now:.2f} from the training data's main directions instead of"
            f" {found.error_before:.2f}"
        )
    state: State = "too_few" if few else "drift" if reasons else "stable"
    return TogetherDrift(
        state=state,
        rows=found.rows,
        pair=found.pair,
        before=found.before,
        now=found.now,
        error_before=found.error_before,
        error_now=found.error_now,
        reason="too few rows to judge" if few else "; ".join(reasons) or "as in training",
    )


def _as_evidently(columns: Sequence[Counted], policy: Drift, rows: int, *, few: bool) -> WindowDrift:
    """Each column by Evidently's default test; the window drifts when half of the columns do."""
    judged = sorted((judge_as_evidently(column, policy, few=few) for column in columns), key=_by_strength(policy))
    drifted = sum(column.state == "drift" for column in judged)
    state: State = "stable"
    if few or not judged:
        state = "too_few"
    elif drifted >= evidently.DRIFTED_SHARE * len(judged):
        state = "drift"
    elif drifted:
        state = "warn"
    return WindowDrift(state=state, rows=rows, columns=tuple(judged))
