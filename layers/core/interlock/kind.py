"""What a model predicts: apart from `interlock.spec`, so that serving knows it without the library that reads specs."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What the model predicts."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"
