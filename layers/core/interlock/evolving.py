"""What a changed contract or spec means for the version that serves: its callers, captures, labels, next training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from interlock.contract import Column
from interlock.errors import Refused
from interlock.models import DeployedModel
from interlock.records import ServedModel
from interlock.signature import signature


@dataclass(frozen=True)
class Consequence:
    """One thing that follows. `breaks`: what serves would answer wrongly, or could no longer be watched or judged."""

    about: str
    says: str
    breaks: bool = False


def foreseen(
    serving: Mapping[str, tuple[DeployedModel, ServedModel]], models: Iterable[DeployedModel]
) -> dict[str, list[Consequence]]:
    """What a deployment of these models means for each version that serves.

    Args:
        serving: by model id, the contract and spec that the version was trained by, and the version as it answers.
        models: all that are to be deployed; what serves and is not among them goes.
    """
    by_id = {model.id: model for model in models}
    found: dict[str, list[Consequence]] = {}
    for name, (old, served) in serving.items():
        if name in by_id:
            found[name] = consequences(old, by_id[name], served)
        else:
            gone = Consequence("callers", f"version {served.version} is taken away from its callers", breaks=True)
            found[name] = [gone]
    return {name: items for name, items in found.items() if items}


def refuse(found: Mapping[str, list[Consequence]]) -> None:
    """Keep a deployment from breaking what serves.

    Raises:
        Refused: something would break.
    """
    broken = [f"{model}: {item.says}" for model, items in found.items() for item in items if item.breaks]
    if broken:
        raise Refused(
            "the deployment would break what serves:\n  " + "\n  ".join(broken),
            remedy="Keep the old columns and classes beside the new ones until a new version serves, or deploy with "
            "--break-champion (of `cdk deploy`: -c break_champion=true) and train at once.",
        )


def consequences(old: DeployedModel, new: DeployedModel, served: ServedModel) -> list[Consequence]:
    """What follows for the version that serves when the new contract and spec are deployed.

    Args:
        old: contract and spec that the version was trained by.
        new: those that are to be deployed.
        served: the version as it answers.
    """
    return [
        *_inputs(new, served),
        *_labels(old, new, served),
        *_training(old, new),
        *_versions(old, new),
    ]


def _inputs(new: DeployedModel, served: ServedModel) -> Iterator[Consequence]:
    now = {item.name: item for item in signature(new)}
    for item in served.inputs:
        after = now.get(item.name)
        if after is None:
            known = item.name in new.contract.names
            what = "is no feature any more" if known else "is not in the contract any more"
            yield Consequence(
                "captures",
                f"'{item.name}' {what}: version {served.version} still asks its callers for it, and it is neither kept"
                " nor watched",
                breaks=True,
            )
            continue
        if after.datatype != item.datatype:
            yield Consequence(
                "captures",
                f"'{item.name}' becomes {after.datatype}: version {served.version} is fed {item.datatype}, and what it"
                " is fed is kept as the other",
                breaks=True,
            )
        if after.restricted and not item.restricted:
            yield Consequence(
                "captures",
                f"'{item.name}' becomes restricted: version {served.version} goes on keeping its values as they are",
                breaks=True,
            )
        if item.restricted and not after.restricted:
            yield Consequence("captures", f"'{item.name}' is kept in bins until the next version serves")
        if after.required != item.required:
            yield Consequence(
                "callers",
                f"'{item.name}' {'must not' if after.required else 'may'} be missing from the next version on; version"
                f" {served.version} {'still takes' if after.required else 'refuses'} a missing one",
            )
    for name in now.keys() - {item.name for item in served.inputs}:
        yield Consequence("callers", f"'{name}' is asked for from the next version on")


def _labels(old: DeployedModel, new: DeployedModel, served: ServedModel) -> Iterator[Consequence]:
    before, after = old.spec.target, new.spec.target
    if before.column != after.column:
        yield Consequence(
            "labels",
            f"the model is to predict '{after.column}'; version {served.version} predicts '{before.column}', and its"
            " labels would be taken for the other's",
            breaks=True,
        )
    elif served.kind is not after.kind:
        yield Consequence(
            "labels", f"the model becomes {after.kind}; version {served.version} is {served.kind}", breaks=True
        )
    elif set(served.classes) != set(new.classes):
        gone, added = (
            sorted(one - other)
            for one, other in (
                (set(served.classes), set(new.classes)),
                (set(new.classes), set(served.classes)),
            )
        )
        told = [f"lose {', '.join(gone)}"] * bool(gone) + [f"gain {', '.join(added)}"] * bool(added)
        yield Consequence(
            "labels",
            f"the classes {' and '.join(told)}: version {served.version} goes on answering {', '.join(served.classes)};"
            " labels are taken by the new list, and the next version cannot be compared with it",
            breaks=True,
        )
    elif served.classes != new.classes:
        yield Consequence(
            "labels",
            f"'{new.classes[-1]}' becomes the positive class: version {served.version} tells the probability of"
            f" '{served.classes[-1]}'",
            breaks=True,
        )


def _training(old: DeployedModel, new: DeployedModel) -> Iterator[Consequence]:
    before, after = old.contract, new.contract
    if added := [name for name in after.names if name not in before.names]:
        yield Consequence(
            "next training",
            f"{_listed(added)} new: datasets that were admitted before lack them and are left out",
        )
    changed = [
        column.name
        for column in after.columns
        if column.name in before.names and before.column(column.name).type is not column.type
    ]
    if changed:
        yield Consequence(
            "next training", f"{_listed(changed)} of another type: datasets that do not fit it are left out"
        )
    ruled = [
        column.name
        for column in after.columns
        if column.name in before.names
        and column.name not in changed
        and _rules(before.column(column.name)) != _rules(column)
    ]
    if ruled:
        yield Consequence(
            "data",
            f"the rules of {', '.join(ruled)} change: datasets stay as they were judged, uploads are judged anew;"
            f" `interlock contract diff {new.id}` shows what that would have meant",
        )
    if old.spec.holdout != new.spec.holdout:
        yield Consequence(
            "next training",
            "the holdout changes: rows that the serving version was trained on come into it, and flatter that version",
        )


def _versions(old: DeployedModel, new: DeployedModel) -> Iterator[Consequence]:
    same = old.contract.version == new.contract.version
    if same and old.contract != new.contract:
        yield Consequence(
            "records", f"the contract changes and is still called {new.contract.version}: raise its version"
        )


def _listed(names: list[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def _rules(column: Column) -> Column:
    """The column without what does not judge its values."""
    return column.model_copy(update={"description": "", "restricted": False})
