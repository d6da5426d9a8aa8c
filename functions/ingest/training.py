"""An upload beside the data that the model in service was trained on: drift, found when the data comes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import reduce

from ingest.judgement import BesideTraining
from interlock import keys
from interlock.aws.datasets import Datasets
from interlock.aws.live import live_release
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.contract import ColumnType
from interlock.models import DeployedModel
from interlock.records import EndedJob, TrainingManifest
from interlock.stats.drift.profiled import counted
from interlock.stats.drift.verdict import judge
from interlock.stats.profile import Profile

_AT_ONCE = 10


def beside_training(data: Objects, state: State, model: DeployedModel, now: Profile) -> BesideTraining | None:
    """Judge an upload's good rows as a window of traffic is: the same statistics, limits and rate of false alarms.

    Beside them are the datasets of the champion's training, or where nothing serves yet, of the last one; by their
    profiles, which lie in no function's memory for long and are never the rows. None before the first training.
    """
    live = live_release(state, model.id)
    champion = live.champion if live else None
    ended = (
        None if champion else next(state.query(EndedJob, f"model#{model.id}", "job#", newest_first=True, limit=1), None)
    )
    run = champion.run if champion else ended.run if ended else None
    stored = data.describe(keys.training(model.id, run, "manifest.json")) if run else None
    if run is None or stored is None:
        return None
    used = set(TrainingManifest.from_json(data.get(stored)).datasets)
    there = [dataset.profile for dataset in Datasets(state, model.id).admitted() if dataset.id in used]
    if not there:
        return None
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        before = reduce(Profile.merged, map(Profile.from_json, pool.map(data.get, there)))
    columns = (*model.features, model.target)
    found = (
        counted(column.name, before, now, restricted=column.restricted, whole=column.type is ColumnType.INTEGER)
        for column in columns
    )
    return BesideTraining(
        run=run,
        version=champion.version if champion else None,
        rows=before.rows,
        drift=judge([item for item in found if item is not None], now.rows, model.spec.monitoring.drift),
    )
