"""Requests are judged by the service's own model, in AWS's words."""

import re
from typing import Any

import pytest

from localcloud.sagemaker.protocol import ServiceError, described, model, operation, read, validate

EMULATED = [
    "CreateTrainingJob",
    "DescribeTrainingJob",
    "ListTrainingJobs",
    "StopTrainingJob",
    "AddTags",
    "ListTags",
    "DeleteTags",
    "CreateModelPackageGroup",
    "DescribeModelPackageGroup",
    "ListModelPackageGroups",
    "DeleteModelPackageGroup",
    "CreateModelPackage",
    "DescribeModelPackage",
    "ListModelPackages",
    "UpdateModelPackage",
    "DeleteModelPackage",
]


def job(**changes: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": "dev-people-1",
        "RoleArn": "arn:aws:iam::000000000000:role/job",
        "AlgorithmSpecification": {
            "TrainingImage": "image:1",
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/job.zip"],
        },
        "OutputDataConfig": {"S3OutputPath": "s3://bucket/jobs"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "HyperParameters": {"depth": "3"},
        **changes,
    }


def refusal(name: str, request: dict[str, Any]) -> str:
    with pytest.raises(ServiceError) as refused:
        validate(operation(f"SageMaker.{name}"), request)
    return f"{refused.value.code}: {refused.value.message}"


def test_a_good_request_passes() -> None:
    validate(operation("SageMaker.CreateTrainingJob"), job())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"TrainingJobName": "under_score"},
         "1 validation error detected: Value 'under_score' at 'trainingJobName' failed to satisfy "),
        ({"TrainingJobName": "under_score"}, "constraint: Member must satisfy regular expression pattern: "),
        ({"TrainingJobName": "a" * 64}, "at 'trainingJobName' .* Member must have length less than or equal to 63"),
        ({"TrainingJobName": ""}, "at 'trainingJobName' .* greater than or equal to 1"),
        ({"TrainingJobName": None}, "Value 'null' at 'trainingJobName' .* Member must not be null"),
        ({"RoleArn": "job"}, "at 'roleArn' .* length greater than or equal to 20"),
        ({"HyperParameters": {"depth": "x" * 2501}}, "at 'hyperParameters.depth' .* less than or equal to 2500"),
        ({"HyperParameters": {str(n): "x" for n in range(101)}}, "at 'hyperParameters' .* less than or equal to 100"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}},
         "Value '0' at 'stoppingCondition.maxRuntimeInSeconds' .* value greater than or equal to 1"),
        ({"ResourceConfig": {"InstanceType": "ml.big", "InstanceCount": 1, "VolumeSizeInGB": 1}},
         "Value 'ml.big' at 'resourceConfig.instanceType' .* enum value set: "),
        ({"AlgorithmSpecification": {"TrainingInputMode": "File", "ContainerEntrypoint": []}},
         "at 'algorithmSpecification.containerEntrypoint' .* length greater than or equal to 1"),
        ({"InputDataConfig": [{"ChannelName": "a b", "DataSource": {}}]}, "'inputDataConfig.1.member.channelName'"),
        ({"Surprise": 1}, "Unknown parameter 'surprise'"),
        ({"OutputDataConfig": {"S3OutputPath": "bucket/jobs"}}, "at 'outputDataConfig.s3OutputPath'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(changes: dict[str, Any], said: str) -> None:
    message = refusal("CreateTrainingJob", job(**changes))
    assert message.startswith("ValidationException: ")
    assert re.search(said, message), message


def test_everything_wrong_is_told_at_once() -> None:
    message = refusal("CreateTrainingJob", job(TrainingJobName="_", RoleArn="x", Surprise=1))
    assert "4 validation errors detected" in message


@pytest.mark.parametrize(
    "changes",
    [
        {"TrainingJobName": 7},
        {"HyperParameters": {"depth": 3}},
        {"HyperParameters": ["depth"]},
        {"InputDataConfig": {"ChannelName": "a"}},
        {"OutputDataConfig": "s3://bucket"},
        {"StoppingCondition": {"MaxRuntimeInSeconds": "600"}},
        {"StoppingCondition": {"MaxRuntimeInSeconds": True}},
        {"EnableNetworkIsolation": "yes"},
    ],
)
def test_another_type_is_no_json_of_this_api(changes: dict[str, Any]) -> None:
    assert refusal("CreateTrainingJob", job(**changes)).startswith("SerializationException")


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff"])
def test_bodies_that_are_no_object(body: bytes) -> None:
    with pytest.raises(ServiceError, match="body is not"):
        read(body)


def test_unknown_operations() -> None:
    for target in (None, "", "SageMaker.Nothing", "Other.ListTags"):
        with pytest.raises(ServiceError) as refused:
            operation(target)
        assert refused.value.code == "UnknownOperationException"


def strings(shape: Any, seen: set[str]) -> list[Any]:
    """Every string shape below one."""
    if shape.name in seen:
        return []
    seen.add(shape.name)
    if shape.type_name == "structure":
        return [found for member in shape.members.values() for found in strings(member, seen)]
    if shape.type_name == "list":
        return strings(shape.member, seen)
    if shape.type_name == "map":
        return strings(shape.key, seen) + strings(shape.value, seen)
    return [shape] if shape.type_name == "string" else []


def test_every_pattern_of_the_emulated_operations_is_understood() -> None:
    from localcloud.sagemaker.protocol import _pattern

    everything = re.compile(".*", re.DOTALL)
    lost = []
    for name in EMULATED:
        for shape in strings(model().operation_model(name).input_shape, set()):
            written = shape.metadata.get("pattern")
            if written and written != ".*" and _pattern(written) == everything:
                lost.append((shape.name, written))
    assert lost == []


@pytest.mark.parametrize(
    ("text", "fits"), [("Who does it: 50 % → «all», 3 × more (é, Ω, 漢) – `x`", True), ("a\nb", False), ("\x00", False)]
)
def test_kinds_of_characters(text: str, fits: bool) -> None:
    request = {"ModelPackageGroupName": "g", "SourceUri": "s3://b/k", "ModelPackageDescription": text}
    if fits:
        validate(operation("SageMaker.CreateModelPackage"), request)
    else:
        assert "modelPackageDescription" in refusal("CreateModelPackage", request)


def test_what_a_description_answers_again() -> None:
    kept = described("DescribeTrainingJob", job(Tags=[{"Key": "a", "Value": "b"}]))
    assert kept == job()
