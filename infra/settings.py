"""What a deployer sets, in cdk.json's context under `interlock` or with `-c name=value`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from interlock.errors import InvalidSettings

# Registry accounts of SageMaker's prebuilt scikit-learn image, by region: AWS's own facts, published in the
# SageMaker Python SDK (image_uri_config/sklearn.json).
_IMAGE_ACCOUNTS = {
    "af-south-1": "510948584623",
    "ap-east-1": "651117190479",
    "ap-northeast-1": "354813040037",
    "ap-northeast-2": "366743142698",
    "ap-northeast-3": "867004704886",
    "ap-south-1": "720646828776",
    "ap-south-2": "628508329040",
    "ap-southeast-1": "121021644041",
    "ap-southeast-2": "783357654285",
    "ap-southeast-3": "951798379941",
    "ap-southeast-4": "106583098589",
    "ca-central-1": "341280168497",
    "eu-central-1": "492215442770",
    "eu-central-2": "680994064768",
    "eu-north-1": "662702820516",
    "eu-south-1": "978288397137",
    "eu-south-2": "104374241257",
    "eu-west-1": "141502667606",
    "eu-west-2": "764974769150",
    "eu-west-3": "659782779980",
    "me-central-1": "272398656194",
    "me-south-1": "801668240914",
    "sa-east-1": "737474898029",
    "us-east-1": "683313688378",
    "us-east-2": "257758044811",
    "us-west-1": "746614075791",
    "us-west-2": "246618743249",
}
_IMAGE = "sagemaker-scikit-learn:1.4-2-py312-cpu-py3"

RetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3653
]


class DeploySettings(BaseModel):
    """One environment. Sizes in MB, times as named, money in US dollars."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    target: Literal["aws", "local"] = "aws"
    environment: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]{0,7}$")] = "dev"
    production: bool = False
    break_champion: bool = False
    models: str = "models"
    region: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")] = "us-east-1"
    alert_email: Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")] | None = None
    alert_webhook: Annotated[str, StringConstraints(pattern=r"^https://[^\s]+$")] | None = None
    log_retention_days: RetentionDays = 30
    capture_retention_days: int = Field(default=90, ge=1)
    noncurrent_retention_days: int = Field(default=30, ge=1)
    removal_policy: Literal["retain", "destroy"] | None = None
    training_image: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = None
    training_instance: Annotated[str, StringConstraints(pattern=r"^ml\.[a-z0-9]+\.[a-z0-9]+$")] = "ml.m5.large"
    training_price_per_hour: float = Field(default=0.115, gt=0)
    snap_start: bool = False
    serve_memory: int = Field(default=1024, ge=256, le=3008)
    jwt_issuer: Annotated[str, StringConstraints(pattern=r"^https://\S+$")] | None = None
    jwt_audience: Annotated[str, StringConstraints(min_length=1)] | None = None
    throttle_rate: int = Field(default=100, ge=1)
    throttle_burst: int = Field(default=200, ge=1)
    throttle_labels_rate: int = Field(default=20, ge=1)
    throttle_labels_burst: int = Field(default=40, ge=1)
    throttle_read_rate: int = Field(default=50, ge=1)
    throttle_read_burst: int = Field(default=100, ge=1)
    calls_a_day: int | None = Field(default=None, ge=1)
    prediction_cache_mb: int | None = Field(default=None, ge=1)

    @classmethod
    def read(cls, context: dict[str, Any]) -> Self:
        """Validate what cdk.json and the command line say.

        Raises:
            InvalidSettings: names every wrong or unknown setting at once.
        """
        try:
            return cls.model_validate(context)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(str(part) for part in item['loc']) or 'settings'}: {item['msg']} (got {item['input']!r})"
                for item in error.errors()
            )
            raise InvalidSettings(wrong) from None

    @model_validator(mode="after")
    def _production_keeps_its_data(self) -> Self:
        if self.production and self.removal_policy == "destroy":
            raise ValueError("production keeps its data: removal_policy must not be 'destroy'")
        if (self.jwt_issuer is None) != (self.jwt_audience is None):
            raise ValueError("jwt_issuer and jwt_audience go together: a token is only taken if it is meant for us")
        if self.prediction_cache_mb is not None and self.prediction_cache_mb > self.serve_memory // 4:
            raise ValueError("prediction_cache_mb is more than a quarter of serve_memory: the models need the rest")
        if self.training_image is None and self.region not in _IMAGE_ACCOUNTS:
            raise ValueError(f"no prebuilt training image is known for {self.region}: set training_image")
        return self

    @property
    def stack_name(self) -> str:
        """Name of the environment's stack."""
        return f"interlock-{self.environment}"

    @property
    def keeps_data(self) -> bool:
        """Whether buckets and tables outlive the stack."""
        return (self.removal_policy or ("retain" if self.production else "destroy")) == "retain"

    @property
    def image(self) -> str:
        """The training job's image."""
        if self.training_image:
            return self.training_image
        return f"{_IMAGE_ACCOUNTS[self.region]}.dkr.ecr.{self.region}.amazonaws.com/{_IMAGE}"
