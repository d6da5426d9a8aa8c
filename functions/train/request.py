"""The training job's request: every choice that SageMaker is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from interlock.models import DeployedModel
from interlock.records import ObjectRef, TrainingManifest

# The job prints `interlock: name=value`; its metrics show up beside the job.
_METRICS = ("rows", "cv_roc_auc", "cv_log_loss", "cv_accuracy", "fit_seconds", "seconds", "onnx_bytes")
# Two times the data, the libraries and the model, with room.
_MIN_VOLUME_GB = 10


@dataclass(frozen=True)
class Deployment:
    """What the deployment says about jobs. Code and wheelhouse are S3 URIs of one zip each."""

    environment: str
    role: str
    image: str
    instance: str
    code_uri: str
    wheelhouse_uri: str
    artefacts_bucket: str


def training_request(
    deployment: Deployment, model: DeployedModel, manifest: TrainingManifest, name: str, channels: str, output: str
) -> dict[str, Any]:
    """The whole CreateTrainingJob request.

    Args:
        deployment: image, role, instance, code.
        model: its limits.
        manifest: the frozen inputs.
        name: the job's name.
        channels: S3 URI that ends in `channels/`.
        output: S3 URI under which the job's own folder is made.
    """
    archive = deployment.code_uri.rsplit("/", 1)[-1]
    spec = model.spec.training
    size = manifest.train.size + manifest.holdout_features.size
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": deployment.image,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["python3", f"/opt/ml/input/data/code/{archive}"],
            "MetricDefinitions": [
                {"Name": metric, "Regex": rf"interlock: {metric}=([-+0-9.eE]+)"} for metric in _METRICS
            ],
        },
        "RoleArn": deployment.role,
        # For people who look at the job; what it does is in the settings channel.
        "HyperParameters": {
            "model": model.id,
            "run": manifest.run,
            "manifest": manifest.id,
            "estimator": spec.script or spec.estimator,
            "seed": str(spec.seed),
        },
        "InputDataConfig": [
            _channel("code", deployment.code_uri, "application/zip"),
            _channel("wheelhouse", deployment.wheelhouse_uri, "application/zip"),
            _channel("settings", f"{channels}settings/", "application/json"),
            _channel("train", f"{channels}train/", "application/vnd.apache.parquet"),
            _channel("holdout", f"{channels}holdout/", "application/vnd.apache.parquet"),
        ],
        "OutputDataConfig": {"S3OutputPath": output, "CompressionType": "GZIP"},
        "ResourceConfig": {
            "InstanceType": spec.instance or deployment.instance,
            "InstanceCount": 1,
            "VolumeSizeInGB": _MIN_VOLUME_GB + 4 * size // 10**9,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": spec.max_minutes * 60},
        "EnableNetworkIsolation": True,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        "Environment": {"PYTHONUNBUFFERED": "1"},
        "Tags": [
            {"Key": "interlock:environment", "Value": deployment.environment},
            {"Key": "interlock:model", "Value": model.id},
            {"Key": "interlock:run", "Value": manifest.run},
        ],
    }


def prefix(ref: ObjectRef, end: str) -> str:
    """The S3 URI of an object's folder up to and including `end`."""
    head, found, _ = ref.uri.partition(end)
    if not found:
        raise ValueError(f"{ref.uri} does not lie under {end}")
    return head + end


def _channel(name: str, uri: str, content_type: str) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "ContentType": content_type,
        "InputMode": "File",
        "CompressionType": "None",
        "DataSource": {
            "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
        },
    }
