"""Which cloud a command speaks to: the local one, or AWS by a named profile. The only place that makes clients."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from interlock.aws.client import code
from interlock.aws.http import signed
from interlock.aws.ledger import Ledger
from interlock.aws.objects import Objects
from interlock.aws.state import State
from interlock.errors import DependencyUnavailable, InvalidSettings, UnknownModel
from localcloud.supervisor import LocalCloud


class Outputs(dict[str, str]):
    """A stack's outputs. One that is missing is of a workflow or function that came after it was deployed."""

    def __missing__(self, name: str) -> str:
        raise DependencyUnavailable(
            f"the stack has no output {name}: it was deployed by an older version of Interlock",
            remedy="Deploy it anew with `interlock deploy`.",
        )


@dataclass(frozen=True)
class Target:
    """A cloud and the environment in it. The local one never sees a profile, AWS never a local endpoint."""

    environment: str
    local: LocalCloud | None
    profile: str | None

    @classmethod
    def find(cls, environment: str, profile: str | None) -> Target:
        """AWS when a profile is named, else the local cloud.

        Raises:
            DependencyUnavailable: no profile was named and no local cloud runs.
        """
        if profile is not None:
            return cls(environment, None, profile)
        local = LocalCloud.load()
        if local is None:
            raise DependencyUnavailable(
                "the local cloud does not run",
                remedy="Start it with `interlock up`, or name an AWS profile: `interlock --profile <name> …`.",
            )
        return cls(environment, local, None)

    @property
    def name(self) -> str:
        """For people."""
        if self.local:
            return f"{self.stack} on the local cloud"
        return f"{self.stack} on AWS (profile {self.profile}, {self.session.region_name or 'no region'})"

    @property
    def stack(self) -> str:
        """The environment's stack."""
        return f"interlock-{self.environment}"

    @cached_property
    def session(self) -> boto3.Session:
        """Credentials and region."""
        if self.local:
            return self.local.session()
        try:
            return boto3.Session(profile_name=self.profile)
        except BotoCoreError as error:
            raise InvalidSettings(str(error), remedy="`aws configure list-profiles` shows the profiles.") from None

    def client(self, service: str) -> Any:
        """A client of this cloud; making one costs more than the call that it is for."""
        if service not in self._clients:
            make: Any = self.local.client if self.local else self.session.client
            self._clients[service] = make(service)
        return self._clients[service]

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}

    @cached_property
    def outputs(self) -> Outputs:
        """The stack's outputs.

        Raises:
            DependencyUnavailable: nothing is deployed; or, where one is looked up, an older version without it.
        """
        try:
            found = self.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"][0]
        except ClientError as error:
            # As CloudFormation says that there is no such stack.
            if code(error) != "ValidationError":
                raise
            raise DependencyUnavailable(
                f"{self.stack} is not deployed", remedy="Deploy it with `interlock deploy`."
            ) from None
        return Outputs({item["OutputKey"]: item["OutputValue"] for item in found.get("Outputs", [])})

    @cached_property
    def state(self) -> State:
        """What moves."""
        return State(self.outputs["StateTable"], self.client("dynamodb"))

    @cached_property
    def ledger(self) -> Ledger:
        """What was decided."""
        return Ledger(self.outputs["LedgerTable"], self.client("dynamodb"))

    @cached_property
    def data(self) -> Objects:
        """The bucket of uploads, datasets, captures and reports."""
        return Objects(self.outputs["DataBucket"], self.client("s3"))

    @cached_property
    def artefacts(self) -> Objects:
        """The bucket of models and what jobs wrote."""
        return Objects(self.outputs["ArtefactsBucket"], self.client("s3"))

    @property
    def models(self) -> list[str]:
        """Ids of the deployed models."""
        return [name for name in self.outputs["Models"].split(",") if name]

    def model(self, name: str | None) -> str:
        """The named model, or the only one.

        Raises:
            UnknownModel: there is none of that name, or several to choose from.
        """
        if name is None and len(self.models) == 1:
            return self.models[0]
        if name not in self.models:
            raise UnknownModel(
                f"'{name}' is not deployed" if name else "several models are deployed: name one",
                remedy=f"Deployed are: {', '.join(self.models) or 'none'}.",
            )
        return name

    def call(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes, dict[str, str]]:
        """A signed call of the API; answers status, body and headers."""
        return signed(method, self.outputs["ApiUrl"].rstrip("/") + path, body, self.session)

    def caller(self) -> str:
        """ARN of who runs the command, for the ledger."""
        return str(self.client("sts").get_caller_identity()["Arn"])
