"""A model's folder: contract and spec together, and what is wrong with them, with file and place."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from interlock.errors import InvalidContract, InvalidSpec
from interlock.folder import model_folders, read_model

MODELS = Path(__file__).parents[3] / "models"


@pytest.mark.parametrize("folder", model_folders(MODELS), ids=lambda folder: folder.name)
def test_the_models_of_this_repository_are_read(folder: Path) -> None:
    assert read_model(folder).id == folder.name


@pytest.fixture
def census(tmp_path: Path) -> Path:
    folder = tmp_path / "census-income"
    folder.mkdir()
    for name in ("contract.yaml", "model.yaml"):
        (folder / name).write_text((MODELS / "census-income" / name).read_text("utf-8"), "utf-8")
    return folder


def edit(file: Path, **changes: Any) -> None:
    document = copy.deepcopy(yaml.safe_load(file.read_text("utf-8")))
    file.write_text(yaml.safe_dump(document | changes), "utf-8")


def test_a_folder_is_read_and_refused_with_file_and_place(census: Path) -> None:
    read = read_model(census)
    assert read.classes == ("<=50K", ">50K")
    assert read.contract.null_tokens == ("", "?")
    edit(census / "model.yaml", id="other")
    with pytest.raises(InvalidSpec, match="id is 'other', the folder is 'census-income'"):
        read_model(census)


@pytest.mark.parametrize(
    ("file", "changes", "error", "said"),
    [
        (
            "model.yaml",
            {"target": {"column": "pay", "kind": "regression"}},
            InvalidSpec,
            "'pay' is not in the contract",
        ),
        ("model.yaml", {"features": ["age", "rank"]}, InvalidSpec, "features not in the contract: rank"),
        ("model.yaml", {"gate": {"metrics": {}}}, InvalidSpec, "gate.metrics"),
        ("model.yaml", {"training": {"script": "train.py"}}, InvalidSpec, "'train.py' is not in the folder"),
        ("model.yaml", {"rubbish": 1}, InvalidSpec, "rubbish: Extra inputs are not permitted"),
        ("contract.yaml", {"kind": 7}, InvalidContract, "is not ODCS"),
        ("contract.yaml", {"apiVersion": "v2.0.0"}, InvalidContract, "v3.x is read"),
    ],
)
def test_a_wrong_folder_says_where(
    census: Path, file: str, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    edit(census / file, **changes)
    with pytest.raises(error) as refused:
        read_model(census)
    assert said in str(refused.value)
    assert file in str(refused.value)


def test_files_that_are_missing_or_no_yaml_are_told(census: Path) -> None:
    (census / "contract.yaml").write_text("a: [", "utf-8")
    with pytest.raises(InvalidContract, match=r"contract\.yaml"):
        read_model(census)
    (census / "contract.yaml").unlink()
    with pytest.raises(InvalidContract, match="is missing"):
        read_model(census)


def test_a_folder_that_cannot_be_an_id_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Census_Income").mkdir()
    (tmp_path / "Census_Income/model.yaml").write_text("", "utf-8")
    with pytest.raises(InvalidSpec, match="Census_Income"):
        model_folders(tmp_path)
