"""model.yaml as a whole."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import StringConstraints, model_validator

from interlock.schema import Model
from interlock.spec.gate import Gate
from interlock.spec.monitoring import Monitoring
from interlock.spec.release import Release
from interlock.spec.training import Holdout, Target, Threshold, Training

MODEL_ID = re.compile(r"[a-z][a-z0-9-]{0,30}")
ModelId = Annotated[str, StringConstraints(pattern=rf"^{MODEL_ID.pattern}$")]


class ModelSpec(Model):
    """The whole of model.yaml. `features` empty: every column that can be one."""

    schema_version: Literal[1] = 1
    id: ModelId
    description: str = ""
    target: Target
    features: tuple[str, ...] = ()
    holdout: Holdout
    training: Training = Training()
    threshold: Threshold = Threshold()
    gate: Gate
    release: Release = Release()
    monitoring: Monitoring = Monitoring()

    @model_validator(mode="before")
    @classmethod
    def _yaml_reads_on_as_true(cls, values: Any) -> Any:
        """YAML 1.1 reads the bare key `on` as the boolean true; mean what was written."""
        training = values.get("training") if isinstance(values, dict) else None
        if isinstance(training, dict) and True in training:
            training = {("on" if key is True else key): value for key, value in training.items()}
            values = {**values, "training": training}
        return values
