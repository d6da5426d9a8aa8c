"""Says what is wrong with a model's folder, each with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from interlock.errors import InterlockError
from interlock.folder import read_contract_file, read_model

# A place as the readers name it: schema[0].properties[3](age).quality[1](nullValues).unit, or pydantic's
# schema.0.properties.3.name.
_STEP = re.compile(r"\.?(?P<name>[A-Za-z_]\w*)|\[(?P<index>\d+)\]|\([^()]*\)|\.(?P<number>\d+)")
_RULE = re.compile(r"quality rule '([^']+)'")


@dataclass(frozen=True)
class Wrong:
    """One thing that keeps a model from being deployed. Lines count from 1."""

    file: str
    line: int
    message: str


def lint(place: Path) -> list[Wrong]:
    """Everything that is wrong with a model's folder, or with a contract's file alone."""
    if place.is_file():
        return list(_found(place, lambda: read_contract_file(place)))
    contract, spec = place / "contract.yaml", place / "model.yaml"
    wrong = list(_found(contract, lambda: read_contract_file(contract)))
    return wrong or list(_found(spec, lambda: read_model(place)))


def _found(file: Path, read: Callable[[], object]) -> Iterator[Wrong]:
    try:
        read()
    except InterlockError as error:
        told = error.message.replace(f"{file}:", "", 1).replace(str(file), "", 1).strip()
    else:
        return
    first, *more = told.split("\n  ")
    if unread := re.findall(r"line (\d+), column", told):
        # The place that YAML's reader means is the last it names.
        yield Wrong(str(file), int(unread[-1]), " ".join(told.split()))
    elif not more:
        yield Wrong(str(file), _line(file, first) if file.exists() else 1, first)
    for message in [] if unread else more:
        yield Wrong(str(file), _line(file, message), message)


def _line(file: Path, message: str) -> int:
    """The line that a message speaks of: of its place, or as far as that can be followed."""
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError:
        return 1
    if named := _RULE.search(message):
        lines = text.splitlines()
        return next((number for number, line in enumerate(lines, 1) if re.search(rf"\b{named[1]}\b", line)), 1)
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    line = 1
    for step in _steps(message):
        found = _below(node, step)
        if found is None:
            break
        line, node = found
    return line


def _steps(message: str) -> Iterator[str | int]:
    # What holds between two parts is told as a fault of the whole, and then names the part.
    message = re.sub(r"^model: Value error, ", "", message)
    position = 0
    while (step := _STEP.match(message, position)) is not None:
        position = step.end()
        if (index := step["index"] or step["number"]) is not None:
            yield int(index)
        elif step["name"] not in {None, "document"}:
            yield step["name"]


def _below(node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
    """The line and the node of a member."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item: yaml.Node = node.value[step]
        return item.start_mark.line + 1, item
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    return None
