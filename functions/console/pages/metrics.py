"""What is known of each model, as OpenMetrics.

Read from what the stages keep, nothing is counted here: a scrape costs a few reads a model, and as many as anybody
likes change nothing. Calls and errors of serving are CloudWatch's to count; of a release under way they are here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import get_args

from console.door import Asked, Reply
from console.openmetrics import CONTENT_TYPE, Family, exposition
from console.sources import Sources
from interlock.aws.live import live_release
from interlock.aws.objects import Objects
from interlock.errors import InvalidUpload
from interlock.records import CheckedWindow, Dataset, EndedJob, Lease, LiveRelease, ObjectRef
from interlock.stats.drift.found import ColumnDrift
from interlock.stats.drift.found import State as Verdict
from interlock.steps import StepVerdict
from interlock.windows import Performed, WindowResult

_TRAFFIC = (*get_args(Verdict), "silent")
_PERFORMANCE = get_args(Performed.model_fields["state"].annotation)
_RELEASE = get_args(LiveRelease.model_fields["state"].annotation)
# Documents of windows that a warm function keeps; they never change.
_KEPT = 64


class Families:
    """Every metric that there is; `docs/grafana.json` asks for them by name."""

    def __init__(self) -> None:
        self.model = Family("info", "interlock_model", "A deployed model.")
        self.serving = Family("info", "interlock_serving", "A version that serves, and in which role.")
        self.version = Family("gauge", "interlock_serving_version", "The number of the version in that role.")
        self.share = Family("gauge", "interlock_serving_share_ratio", "Share of the calls it answers.", "ratio")
        self.revision = Family("gauge", "interlock_release_revision", "Revision of the live release.")
        self.release = Family("stateset", "interlock_release_state", "State of the live release.")
        self.changed = Family(
            "gauge", "interlock_release_changed_timestamp_seconds", "When the live release last changed.", "seconds"
        )
        self.step_calls = Family("gauge", "interlock_release_step_calls", "Calls since the step of a release began.")
        self.failed_calls = Family(
            "gauge", "interlock_release_step_failed_ratio", "Share of the challenger's calls that failed.", "ratio"
        )
        self.checked = Family(
            "gauge", "interlock_check_timestamp_seconds", "End of the window that was checked last.", "seconds"
        )
        self.rows = Family("gauge", "interlock_check_predictions", "Predictions in the window.")
        self.traffic = Family("stateset", "interlock_drift_state", "Verdict on the window's traffic.")
        self.drifted = Family("gauge", "interlock_drifted_columns", "Columns of the window that drifted.")
        self.column = Family("stateset", "interlock_column_drift_state", "Verdict on a column of the window.")
        self.statistic = Family(
            "gauge", "interlock_column_statistic", "A statistic of a column; psi_noise is what chance alone gives."
        )
        self.performing = Family("stateset", "interlock_performance_state", "Verdict on the model's performance.")
        self.performance = Family(
            "gauge", "interlock_performance", "A metric: on the holdout, estimated for the window, by labels."
        )
        self.low = Family("gauge", "interlock_performance_low", "Lower end of its 95% interval.")
        self.high = Family("gauge", "interlock_performance_high", "Upper end of its 95% interval.")
        self.labelled = Family("gauge", "interlock_labelled_predictions", "Predictions whose label is known.")
        self.datasets = Family("gauge", "interlock_datasets", "Datasets that were admitted.")
        self.dataset_rows = Family("gauge", "interlock_dataset_rows", "Rows of all admitted datasets.")
        self.admitted = Family(
            "gauge", "interlock_dataset_admitted_timestamp_seconds", "When the newest was admitted.", "seconds"
        )
        self.training = Family("gauge", "interlock_training_running", "1 while a training holds the lease.")
        self.trainings = Family("counter", "interlock_trainings", "Training jobs that have ended.")
        self.billed = Family("counter", "interlock_training_billed_seconds", "What they were billed for.", "seconds")
        self.decisions = Family("counter", "interlock_decisions", "Entries of the ledger.")

    def __iter__(self) -> Iterator[Family]:
        return iter(vars(self).values())


def show(asked: Asked) -> Reply:
    """All models that the caller may read."""
    families = Families()
    for model in asked.models:
        _describe(families, asked.sources, model)
    return Reply(exposition(families).encode(), CONTENT_TYPE)


def _describe(families: Families, sources: Sources, model: str) -> None:
    pk, state = f"model#{model}", sources.state
    spec = sources.deployed(model).spec
    families.model.add(1, model=model, kind=spec.target.kind.value, target=spec.target.column)
    live = live_release(state, model)
    if live is not None:
        _release(families, model, live, state.get(StepVerdict, pk, "bake"))
    if (window := next(state.query(CheckedWindow, pk, "window#", newest_first=True, limit=1), None)) is not None:
        _window(families, sources, window)
    datasets = list(state.query(Dataset, pk, "dataset#"))
    families.datasets.add(len(datasets), model=model)
    for use, rows in (
        ("train", sum(item.train_rows for item in datasets)),
        ("holdout", sum(item.holdout_rows for item in datasets)),
        ("bad", sum(item.bad_rows for item in datasets)),
    ):
        families.dataset_rows.add(rows, model=model, use=use)
    families.admitted.add(max((item.admitted_at.timestamp() for item in datasets), default=None), model=model)
    lease = state.get(Lease, pk, "lease")
    families.training.add(lease is not None and lease.expires_at > datetime.now(UTC), model=model)
    jobs = list(state.query(EndedJob, pk, "job#"))
    for status, count in sorted(Counter(job.status for job in jobs).items()):
        families.trainings.add(count, model=model, status=status)
    families.billed.add(sum(job.billable_seconds for job in jobs), model=model)
    last = sources.ledger.last(model)
    families.decisions.add(last.sequence if last else 0, model=model)


def _release(families: Families, model: str, live: LiveRelease, step: StepVerdict | None) -> None:
    families.revision.add(live.revision, model=model)
    families.release.state(live.state, _RELEASE, model=model)
    families.changed.add(live.changed_at.timestamp(), model=model)
    share = live.share if live.challenger is not None else 0.0
    for role, version, its in (("champion", live.champion, 1 - share), ("challenger", live.challenger, share)):
        if version is not None:
            number = str(version.version)
            families.serving.add(1, model=model, role=role, version=number, run=version.run, mode=live.mode)
            families.version.add(version.version, model=model, role=role)
            families.share.add(its, model=model, role=role)
    # The document of a step stays when its release has ended.
    if step is not None and live.challenger is not None and step.revision == live.revision:
        families.step_calls.add(step.calls, model=model, role="challenger")
        families.step_calls.add(step.champion_calls, model=model, role="champion")
        failed = next((check.value for check in step.checks if check.id == "errors"), None)
        families.failed_calls.add(failed, model=model)


def _window(families: Families, sources: Sources, window: CheckedWindow) -> None:
    model, metric = window.model, window.metric
    families.checked.add(window.end.timestamp(), model=model)
    families.rows.add(window.rows, model=model)
    families.traffic.state(window.state, _TRAFFIC, model=model)
    families.drifted.add(window.drifted, model=model)
    families.performing.state(window.performance, _PERFORMANCE, model=model)
    families.labelled.add(window.labelled, model=model)
    families.performance.add(window.holdout, model=model, metric=metric, source="holdout")
    for source, point in (("estimated", window.estimated), ("realised", window.realised)):
        if point is not None:
            families.performance.add(point.value, model=model, metric=metric, source=source)
            families.low.add(point.low, model=model, metric=metric, source=source)
            families.high.add(point.high, model=model, metric=metric, source=source)
    for column in _columns(sources.data, window.report) if window.report else ():
        families.column.state(column.state, get_args(Verdict), model=model, column=column.column)
        found = {"psi": column.psi, "psi_noise": column.noise, "outside_share": column.outside} | column.statistics
        for statistic, value in found.items():
            families.statistic.add(value, model=model, column=column.column, statistic=statistic)


@lru_cache(maxsize=_KEPT)
def _columns(data: Objects, page: ObjectRef) -> tuple[ColumnDrift, ...]:
    """The columns of a window, from the document beside its page; none where it has been removed."""
    try:
        stored = data.raw(page.key.removesuffix(".html") + ".json")
    except InvalidUpload:
        return ()
    return WindowResult.from_json(stored).drift.columns
