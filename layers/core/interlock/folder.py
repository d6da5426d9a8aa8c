"""Reads a model's folder. Used where people deploy; functions get the result as JSON and need no YAML."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock import sandbox
from interlock.contract import Contract
from interlock.errors import InvalidContract, InvalidSpec
from interlock.models import DeployedModel
from interlock.odcs import read_contract
from interlock.odcs.quality import query_places
from interlock.spec import MODEL_ID, ModelSpec


def model_folders(root: Path) -> list[Path]:
    """The folders of models, by name.

    Raises:
        InvalidSpec: a folder's name cannot be a model's id.
    """
    folders = sorted(path for path in root.iterdir() if (path / "model.yaml").exists())
    for folder in folders:
        if not MODEL_ID.fullmatch(folder.name):
            raise InvalidSpec(
                f"{folder}: a model's folder is named [a-z][a-z0-9-]{{0,30}} (SageMaker takes no underscore)"
            )
    return folders


def read_model(folder: Path) -> DeployedModel:
    """The model of a folder: contract.yaml and model.yaml, checked against each other.

    Raises:
        InvalidContract, InvalidSpec: names the file and every wrong place in it.
    """
    contract, spec_file = read_contract_file(folder / "contract.yaml"), folder / "model.yaml"
    try:
        spec = ModelSpec.model_validate(_yaml(spec_file, InvalidSpec))
    except ValidationError as error:
        raise InvalidSpec(f"{spec_file}:\n  {_places(error)}") from None
    if spec.id != folder.name:
        raise InvalidSpec(f"{spec_file}: id is '{spec.id}', the folder is '{folder.name}'")
    if spec.training.script and not (folder / spec.training.script).is_file():
        raise InvalidSpec(f"{spec_file}: training.script '{spec.training.script}' is not in the folder")
    try:
        return DeployedModel(spec=spec, contract=contract)
    except ValidationError as error:
        raise InvalidSpec(f"{spec_file}:\n  {_places(error)}") from None


def read_contract_file(path: Path) -> Contract:
    """The contract of a file.

    Raises:
        InvalidContract: names the file and every wrong place in it.
    """
    document = _yaml(path, InvalidContract)
    _standard(path, document)
    try:
        contract = read_contract(document)
        _queries(contract, query_places(document))
    except InvalidContract as error:
        raise InvalidContract(f"{path}: {error.message}") from None
    return contract


def _yaml(path: Path, wrong: type[InvalidSpec | InvalidContract]) -> dict[str, Any]:
    # Only here, so that nothing a function imports needs a YAML parser.
    import yaml

    try:
        text = path.read_text("utf-8")
        document = yaml.safe_load(text)
    except FileNotFoundError:
        raise wrong(f"{path} is missing") from None
    except yaml.MarkedYAMLError as error:
        told = ", ".join(part for part in (error.context, error.problem) if part)
        raise wrong(f"{path}: {_place(error.problem_mark)}: {told}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise wrong(f"{path}: {error}") from None
    if not isinstance(document, dict):
        raise wrong(f"{path}: is not a mapping")
    for key in _twice(yaml.compose(text, Loader=yaml.SafeLoader)):
        raise wrong(f"{path}: {_place(key.start_mark)}: {key.value} stands twice")
    return document


def _place(mark: Any) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _twice(root: Any) -> Iterator[Any]:
    """The names that stand twice in a mapping: one of the two would be ignored."""
    waiting, met = [root], set[int]()
    while waiting:
        node = waiting.pop()
        # What has an anchor is reached more than once, and may hold itself.
        if id(node) in met or not isinstance(node.value, list):
            continue
        met.add(id(node))
        said = set()
        for item in node.value:
            key, value = item if isinstance(item, tuple) else (None, item)
            if key is not None and isinstance(key.value, str):
                yield from [key] if key.value in said else []
                said.add(key.value)
            waiting.append(value)


def _standard(path: Path, document: dict[str, Any]) -> None:
    """Let the standard's own model judge the form first."""
    from open_data_contract_standard.model import OpenDataContractStandard

    try:
        OpenDataContractStandard.model_validate(document)
    except ValidationError as error:
        raise InvalidContract(f"{path} is not ODCS:\n  {_places(error)}") from None


def _queries(contract: Contract, places: list[str]) -> None:
    """Let the engine read the sql rules, so that none fails on the first upload."""
    queries = [rule.query for rule in contract.quality if rule.query is not None]
    wrong = [
        f"\n  {place}.query: {problem}"
        for place, query in zip(places, queries, strict=True)
        for problem in sandbox.problems(query, contract)
    ]
    if wrong:
        raise InvalidContract(f"{contract.id}:{''.join(wrong)}")


def _places(error: ValidationError) -> str:
    return "\n  ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'model'}: {item['msg']}" for item in error.errors()
    )
