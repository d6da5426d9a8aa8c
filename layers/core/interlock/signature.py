"""The inputs of a model, as Open Inference Protocol V2 names their types."""

from __future__ import annotations

from typing import Literal

from interlock.contract import Column, ColumnType
from interlock.models import DeployedModel
from interlock.records import Input

_DATATYPES: dict[ColumnType, Literal["FP32", "INT64", "BOOL", "BYTES"]] = {
    ColumnType.NUMBER: "FP32",
    ColumnType.INTEGER: "INT64",
    ColumnType.BOOLEAN: "BOOL",
    ColumnType.STRING: "BYTES",
}


def signature(model: DeployedModel) -> tuple[Input, ...]:
    """The inputs of a model."""
    return tuple(_input(column) for column in model.features)


def _input(column: Column) -> Input:
    return Input(
        name=column.name,
        datatype=_DATATYPES[column.type],
        required=column.required,
        restricted=column.restricted,
    )
