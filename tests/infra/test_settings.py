"""Settings of a deployment: wrong ones are named before anything is made."""

from __future__ import annotations

import pytest

from infra.build import MAX_UNZIPPED, check_size
from infra.settings import DeploySettings
from interlock.errors import InvalidSettings


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"environment": "Prod!"}, "environment"),
        ({"environment": "toolongname"}, "environment"),
        ({"region": "mars-1"}, "region"),
        ({"alert_email": "nobody"}, "alert_email"),
        ({"alert_webhook": "http://chat.example.com/x"}, "alert_webhook"),
        ({"log_retention_days": 31}, "log_retention_days"),
        ({"training_instance": "m5.large"}, "training_instance"),
        ({"serve_memory": 4000}, "serve_memory"),
        ({"unknown": 1}, "unknown"),
        ({"production": True, "removal_policy": "destroy"}, "production keeps its data"),
        ({"region": "eu-isoe-west-1"}, "training_image"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        DeploySettings.read(given)
    assert named in caught.value.message


def test_all_wrong_settings_are_named_at_once() -> None:
    with pytest.raises(InvalidSettings) as caught:
        DeploySettings.read({"region": 1, "alert_email": "x", "more": 2})
    assert all(name in caught.value.message for name in ("region", "alert_email", "more"))


def test_the_image_is_that_of_the_region() -> None:
    image = DeploySettings.read({"region": "eu-central-1"}).image
    assert image == "492215442770.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-py312-cpu-py3"


def test_a_function_over_the_quota_is_refused_with_the_sizes() -> None:
    with pytest.raises(InvalidSettings, match="onnx 200 MB"):
        check_size("big", {"code": 80_000_000, "onnx": 200_000_000})
    check_size("small", {"code": MAX_UNZIPPED})
