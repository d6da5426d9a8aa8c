"""The environment: started, stopped, deployed, examined, removed; its logs; the demo."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from cli import cloud, demo
from cli.contracts import deploying
from cli.options import options
from cli.view import as_json, console, table
from interlock import evolving
from localcloud import supervisor

PANEL = "The cloud"
app = typer.Typer()
command = partial(app.command, rich_help_panel=PANEL)


@command()
def up() -> None:
    """Start the local cloud; what was in it is still there."""
    local = supervisor.up(progress=console.print)
    console.print(
        f"The local cloud runs at {local.endpoint}. Next: [bold]interlock deploy[/] or [bold]interlock demo[/]"
    )


@command()
def down() -> None:
    """Stop the local cloud and keep what is in it."""
    stopped = supervisor.down()
    console.print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing ran.")


@command()
def deploy(
    break_champion: Annotated[
        bool, typer.Option("--break-champion", help="Deploy also what breaks the version that serves.")
    ] = False,
) -> None:
    """Build the layers and deploy the CDK app, here or to AWS; what that means for what serves is told before."""
    found = cloud.foreseen(options.environment, options.profile)
    if not options.json:
        deploying.tell(found)
    if not break_champion:
        evolving.refuse(found)
    outputs = cloud.deploy(options.environment, options.profile, break_champion=break_champion)
    if options.json:
        as_json(outputs)
    else:
        table("Deployed", ("output", "value"), sorted(outputs.items()))


@command()
def destroy(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Empty and remove the environment with everything in it, also what CloudFormation does not know."""
    target = options.target()
    cloud.refuse_production(target)
    if not yes:
        typer.confirm(f"Remove {target.name} with all its data, models and its ledger?", abort=True)
    for line in cloud.destroy(target):
        console.print(line)


@command()
def doctor() -> None:
    """Check this machine, the target and its quotas."""
    findings = list(cloud.examine(options.environment, options.profile))
    if options.json:
        as_json([vars(finding) for finding in findings])
    else:
        table("Doctor", ("", "what", "found", "what to do"), [(f.state, f.what, f.found, f.remedy) for f in findings])
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)


@command()
def logs(
    what: Annotated[str, typer.Argument(help="A stage (serve) or a function (serve-infer).")] = "",
    job: Annotated[str | None, typer.Option(help="A training job's name.")] = None,
    minutes: Annotated[int, typer.Option(help="How far back.")] = 30,
) -> None:
    """The last lines of a stage, a function or a training job."""
    for line in cloud.logs(options.target(), what, job, minutes):
        console.print(line, soft_wrap=True, markup=False)


@command(name="demo")
def demo_(
    model: Annotated[str, typer.Option(help="A folder of models/ with a demo.yaml.")] = "",
    reset: Annotated[bool, typer.Option("--reset", help="Throw away a local cloud that is not the demo's.")] = False,
) -> None:
    """A model's whole life on the local cloud: upload, training, release, predictions, drift, retraining."""
    demo.run(model or None, reset=reset)
