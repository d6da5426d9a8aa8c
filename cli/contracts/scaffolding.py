"""A model's folder from a file: the contract from what the file shows, model.yaml with the reason beside each limit."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.contracts.inferring import contract_yaml, key_of, personal
from cli.contracts.observing import Observed, Seen, observe
from interlock.contract import ColumnType
from interlock.errors import InterlockError, InvalidRequest
from interlock.folder import read_model
from interlock.kind import Kind
from interlock.spec import MODEL_ID

_TARGETS = ("target", "label", "class", "outcome", "y", "churn", "default", "survived", "price", "income", "result")
_YES = ("yes", "true", "1", "y", "positive", "pos", ">50k", "t", "churned", "fraud", "default", "spam")
# More classes than this are rather a number, or a text.
_MOST_CLASSES = 20


@dataclass(frozen=True)
class Scaffolded:
    """The new folder, and what was inferred of the target."""

    folder: Path
    target: str
    kind: Kind
    named: bool


def scaffold(file: Path, models: Path, name: str | None, target: str | None) -> Scaffolded:
    """Write models/<name>/contract.yaml and model.yaml; both are read again as a deployment reads them.

    Raises:
        InvalidRequest: the name cannot be a model's, the folder is there, or the target is not in the file.
        InvalidUpload: the file cannot be read.
        InvalidContract, InvalidSpec: a column cannot be one of a contract; nothing is left behind.
    """
    model = name or re.sub(r"[^a-z0-9]+", "-", file.name.split(".")[0].lower()).strip("-")[:31].strip("-")
    if not MODEL_ID.fullmatch(model):
        raise InvalidRequest(
            f"'{model}' cannot be a model's name ([a-z][a-z0-9-]{{0,30}})", remedy="Name it with --name."
        )
    folder = models / model
    if folder.exists():
        raise InvalidRequest(f"{folder} is there already", remedy="Name another with --name, or remove the folder.")
    found = observe(file)
    column = found.column(target) if target else _target(found)
    if column is None:
        raise InvalidRequest(
            f"there is no column '{target}' in {file}",
            remedy=f"Its columns: {', '.join(c.name for c in found.columns)}.",
        )
    kind = _kind(column)
    if kind is not Kind.REGRESSION and not column.listed:
        raise InvalidRequest(
            f"'{column.name}' has {column.distinct:,} different texts: too many classes",
            remedy="Name the column to predict with --target.",
        )
    if all(why for _, why in _features(found, column)):
        raise InvalidRequest(
            f"no column of {file} can be a feature that '{column.name}' is predicted from",
            remedy="Is it a table with a header? Name the column to predict with --target.",
        )
    listed = [] if kind is Kind.REGRESSION else [column.name]
    folder.mkdir(parents=True)
    (folder / "contract.yaml").write_text(contract_yaml(found, model, listed), "utf-8")
    (folder / "model.yaml").write_text("\n".join(_spec(found, column, kind, model)) + "\n", "utf-8")
    try:
        read_model(folder)
    except InterlockError:
        shutil.rmtree(folder)
        raise
    return Scaffolded(folder, column.name, kind, named=target is not None)


def _target(found: Observed) -> Seen:
    """What is predicted, when nobody says: a column that is called so, else the last one."""
    named = {column.name.lower(): column for column in found.columns}
    return next((named[name] for name in _TARGETS if name in named), found.columns[-1])


def _kind(column: Seen) -> Kind:
    if column.type is ColumnType.BOOLEAN or column.distinct == 2:
        return Kind.BINARY
    few = column.distinct <= _MOST_CLASSES and column.type is ColumnType.INTEGER and column.present >= 1000
    return Kind.MULTICLASS if column.type is ColumnType.STRING or few else Kind.REGRESSION


def _features(found: Observed, target: Seen) -> Iterator[tuple[Seen, str]]:
    """The columns that could be features, and of each why it is better none."""
    skipped = {target.name, key_of(found)}
    for column in found.columns:
        if column.name not in skipped and column.type not in {ColumnType.DATE, ColumnType.TIMESTAMP}:
            free = column.type is ColumnType.STRING and column.distinct > found.rows // 2
            yield column, "looks personal" if personal(column) else "nearly every text is another one" if free else ""


def _spec(found: Observed, target: Seen, kind: Kind, name: str) -> Iterator[str]:
    yield f"# Written from {found.path.name}. The reason stands beside each limit: mend what you know better."
    yield "schema_version: 1"
    yield f"id: {name}"
    yield ""
    yield "target:"
    yield f"  column: {_quoted(target.name)}"
    yield f"  kind: {kind}"
    if kind is Kind.BINARY:
        positive, rows = _positive(target)
        yield f"  positive: {_quoted(positive)}   # {rows:,} of {target.present:,} rows"
    yield ""
    yield "# Left out: the key, and what is no number, category or yes and no. Take out what is not known when asked."
    yield "features:"
    for column, why in _features(found, target):
        yield f"  {'# ' * bool(why)}- {_quoted(column.name)}{f'   # {why}' * bool(why)}"
    yield ""
    yield "holdout:"
    yield f"  fraction: 0.2            # {found.rows // 5:,} of the {found.rows:,} rows that were seen"
    yield f"  key: {name}-1     # never change it: rows would cross between training and holdout"
    yield ""
    yield "training:"
    yield "  estimator: hist_gradient_boosting"
    yield "  seed: 7"
    yield "  on: first_dataset        # later data waits until drift or a person asks for it"
    yield "  max_minutes: 15"
    yield ""
    yield "gate:"
    yield f"  min_rows: {max(10, min(1000, found.rows // 10))}"
    yield "  metrics:"
    yield from _limits(target, kind)
    yield ""
    yield "release:"
    yield "  approval: manual         # a person approves in the registry; automatic when you trust the gate"
    yield ""
    yield "monitoring:"
    yield "  schedule: rate(1 day)"
    yield "  retrain:"
    yield "    on_drift: false        # true when a retraining may start by itself"


def _limits(target: Seen, kind: Kind) -> Iterator[str]:
    """What a model must be better than: an answer that is always the same."""
    if kind is Kind.REGRESSION:
        yield "    r2: {min: 0.0, tolerance: 0.02}          # always saying the mean gives 0"
        return
    shares = [rows / target.present for _, rows in _classes(target)]
    entropy = -sum(share * math.log(share) for share in shares)
    if kind is Kind.BINARY:
        yield "    roc_auc: {min: 0.6, tolerance: 0.01}     # guessing gives 0.5"
    yield f"    log_loss: {{max: {entropy:.4f}, tolerance: 0.01}}  # always saying the base rate gives this"
    yield f"    accuracy: {{min: {max(shares):.4f}, tolerance: 0.01}}  # always saying the most frequent class does"


def _classes(target: Seen) -> list[tuple[str, int]]:
    if target.type is ColumnType.BOOLEAN:
        merged: dict[str, int] = {}
        for value, rows in target.listed:
            merged[value.lower()] = merged.get(value.lower(), 0) + rows
        return list(merged.items())
    return list(target.listed)


def _positive(target: Seen) -> tuple[str, int]:
    """The class whose probability is told: one that says yes, else the rarer one."""
    classes = _classes(target)
    named = [item for item in classes if item[0].lower() in _YES]
    return named[0] if len(named) == 1 else min(classes, key=lambda item: item[1])


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
