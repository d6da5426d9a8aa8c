"""The contract of the reference data: the rules that all cases of ingest's benchmark judge by."""

from __future__ import annotations

from interlock.contract import Column, ColumnType, Contract
from interlock.models import DeployedModel
from interlock.spec import ModelSpec
from tests.performance.ingest_cases import COUNTRIES, EMAIL, FIRST, LAST, PLANS, RANGES, SKU

_INTEGER, _NUMBER, _STRING, _DATE = ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.STRING, ColumnType.DATE


def _ranged(name: str, kind: ColumnType) -> Column:
    low, high = RANGES[name]
    return Column(name=name, type=kind, required=True, minimum=low, maximum=high)


MODEL = DeployedModel(
    spec=ModelSpec.model_validate(
        {
            "id": "reference",
            "target": {"column": "income", "kind": "regression"},
            "holdout": {"fraction": 0.2, "key": "reference"},
            "gate": {"metrics": {"r2": {"min": 0}}},
        }
    ),
    contract=Contract(
        id="reference",
        version="1",
        max_bad_row_share=1.0,
        columns=(
            Column(name="id", type=_INTEGER, required=True, unique=True),
            _ranged("age", _INTEGER),
            _ranged("qty", _INTEGER),
            _ranged("income", _NUMBER),
            _ranged("score", _NUMBER),
            _ranged("temp", _NUMBER),
            Column(name="country", type=_STRING, required=True, allowed=tuple(COUNTRIES)),
            Column(name="plan", type=_STRING, required=True, allowed=tuple(PLANS)),
            Column(name="email", type=_STRING, required=True, pattern=EMAIL),
            Column(name="sku", type=_STRING, required=True, pattern=SKU),
            Column(name="signup", type=_DATE, required=True, earliest=str(FIRST), latest=str(LAST)),
            Column(name="flag", type=_INTEGER, required=True, allowed=("0", "1")),
        ),
    ),
)
