"""The commands. Each reads its words, calls one function, shows what came back."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cli import (
    cloud,
    demo,
    evidence,
    executions,
    export,
    forgetting,
    forgotten,
    history,
    inference,
    judgements,
    releases,
    scoring,
    uploads,
)
from cli.console import serve
from cli.contracts import commands as contracts
from cli.contracts import deploying
from cli.options import Model, options
from cli.quarantine import commands as quarantine
from cli.release import app as release_app
from cli.release import show_rollback
from cli.view import as_json, console, table
from cli.watching import show
from ingest.judgement import Judgement, json_schema
from interlock import evolving
from interlock.errors import InterlockError
from interlock.events import SOURCE, TrainingRequested
from interlock.keys import MODE, REFRESH
from localcloud import supervisor

app = typer.Typer(
    help="Machine-learning models on AWS without servers: upload data, call HTTPS, run cdk deploy.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
app.add_typer(contracts.models, name="model")
app.add_typer(contracts.contracts, name="contract")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(release_app)
# What Typer makes of Ctrl-C.
_INTERRUPTED = 130


@app.callback()
def before(
    env: Annotated[str, typer.Option(help="The environment.", envvar="INTERLOCK_ENV")] = "dev",
    profile: Annotated[str | None, typer.Option(help="AWS profile; without one the local cloud is used.")] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
    verbose: Annotated[bool, typer.Option(help="Show the traceback of an error.")] = False,
) -> None:
    """Run models on AWS without servers, or on this laptop."""
    options.environment, options.profile, options.json, options.verbose = env, profile, as_json_, verbose
    # Whoever reads JSON on standard output reads nothing else there.
    console.stderr = as_json_


@app.command()
def up() -> None:
    """Start the local cloud; what was in it is still there."""
    local = supervisor.up(progress=console.print)
    console.print(
        f"The local cloud runs at {local.endpoint}. Next: [bold]interlock deploy[/] or [bold]interlock demo[/]"
    )


@app.command()
def down() -> None:
    """Stop the local cloud and keep what is in it."""
    stopped = supervisor.down()
    console.print(f"Stopped: {', '.join(stopped)}." if stopped else "Nothing ran.")


@app.command()
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


@app.command()
def destroy(yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Empty and remove the environment with everything in it, also what CloudFormation does not know."""
    target = options.target()
    cloud.refuse_production(target)
    if not yes:
        typer.confirm(f"Remove {target.name} with all its data, models and its ledger?", abort=True)
    for line in cloud.destroy(target):
        console.print(line)


@app.command()
def doctor() -> None:
    """Check this machine, the target and its quotas."""
    findings = list(cloud.examine(options.environment, options.profile))
    if options.json:
        as_json([vars(finding) for finding in findings])
    else:
        table("Doctor", ("", "what", "found", "what to do"), [(f.state, f.what, f.found, f.remedy) for f in findings])
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)


@app.command()
def upload(
    model: Annotated[str, typer.Argument(help="The model's id.")],
    file: Annotated[
        Path,
        typer.Argument(exists=True, help="CSV, gzip CSV, Parquet or JSON Lines; or a folder of such, as one dataset."),
    ],
    refresh: Annotated[
        bool, typer.Option("--refresh", help="It takes the place of all that was uploaded before.")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Follow it until it is admitted or rejected.")] = True,
) -> None:
    """Upload data; what happens then is shown."""
    target = options.target()
    send = uploads.send_set if file.is_dir() else uploads.send
    sent = send(target, target.model(model), file, metadata={MODE: REFRESH} if refresh else {})
    if not wait:
        as_json(vars(sent)) if options.json else console.print(f"s3://{sent.bucket}/{sent.key} version {sent.version}")
        return
    uploads.follow(target, sent)


@app.command()
def predict(
    model: Model = None,
    row: Annotated[list[str] | None, typer.Option(help="A row as column=value,column=value; may be repeated.")] = None,
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Rows as CSV or JSON.")] = None,
    curl: Annotated[bool, typer.Option(help="Print the curl line that asks the same.")] = False,
) -> None:
    """Ask the model about rows, over HTTPS."""
    target = options.target()
    name = target.model(model)
    rows = uploads.rows(row or [], file)
    if curl:
        console.print(inference.curl(target, name, rows), soft_wrap=True)
        return
    found = inference.predict(target, name, rows)
    if options.json:
        as_json([vars(item) for item in found])
        return
    shown = [(item.row, item.label, f"{item.score:.4f}", item.version, item.request_id) for item in found]
    table(name, ("row", "label", "score", "version", "request id"), shown)


@app.command()
def score(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="CSV, JSON Lines or Parquet, plain, gzip or zstd.")
    ],
    model: Annotated[str | None, typer.Option(help="The model's id; may be left out when there is only one.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the predictions go; FILE.predictions.csv or .parquet here, without.")
    ] = None,
) -> None:
    """Score a whole file by the version that serves; a row that cannot be scored is told, the others are scored."""
    target = options.target()
    if not scoring.score(target, target.model(model), file, out).scored:
        raise typer.Exit(5)


@app.command()
def label(
    request_id: Annotated[str, typer.Argument(help="The answer's request id.")],
    value: Annotated[str, typer.Argument(help="What was true.")],
    model: Model = None,
    row: Annotated[int, typer.Option(help="The row of the request.")] = 0,
) -> None:
    """Tell what was true for a prediction."""
    target = options.target()
    name = target.model(model)
    number = float(value) if value.replace(".", "", 1).lstrip("-").isdigit() else value
    taken = inference.label(target, name, [{"request_id": request_id, "row": row, "label": number}])
    as_json({"accepted": taken}) if options.json else console.print(f"{taken} label taken.")


@app.command()
def status() -> None:
    """What serves, what was uploaded, what runs."""
    target = options.target()
    found = history.status(target)
    if options.json:
        as_json(found)
    else:
        history.show_status(found)


@app.command()
def watch(
    run: Annotated[str | None, typer.Argument(help="A run's name or stage; the newest without one.")] = None,
) -> None:
    """Follow a run until it has ended."""
    target = options.target()
    found = executions.find(target, run)
    console.print(f"[bold]{found.workflow}[/] {found.name}")
    show(target, found)
    if found.status != "SUCCEEDED":
        raise typer.Exit(4)


@app.command()
def retry(run: Annotated[str, typer.Argument(help="The failed run's name.")]) -> None:
    """Start a failed run again with the same input."""
    target = options.target()
    started = executions.again(target, executions.find(target, run))
    console.print(f"[bold]{started.workflow}[/] {started.name}")
    if show(target, started).status != "SUCCEEDED":
        raise typer.Exit(4)


@app.command()
def train(model: Model = None, reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "by hand") -> None:
    """Train on everything that was admitted."""
    target = options.target()
    event = TrainingRequested(model=target.model(model), reason=reason, requested_by=target.caller())
    document = {"source": SOURCE, "detail-type": event.name, "detail": event.model_dump(mode="json")}
    started = executions.start(target, "train", document)
    console.print(f"[bold]train[/] {started.name}")
    if show(target, started).status != "SUCCEEDED":
        raise typer.Exit(4)


@app.command()
def check(model: Model = None) -> None:
    """Check the served traffic for drift now, without waiting for the schedule."""
    target = options.target()
    name = target.model(model)
    run = show(target, executions.start(target, "monitor", {"model": name}))
    if run.status != "SUCCEEDED":
        raise typer.Exit(4)
    history.show_drift(target, name)


@app.command()
def rollback(
    model: Model = None, reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "by hand"
) -> None:
    """Serve the version before again; callers get it within five seconds."""
    target = options.target()
    show_rollback(releases.rollback(target, target.model(model), reason))


@app.command()
def forget(
    key: Annotated[str, typer.Argument(help="Whom: the value of the column.")],
    model: Model = None,
    column: Annotated[str | None, typer.Option(help="Which names a person; else the contract's mark.")] = None,
    request: Annotated[list[str] | None, typer.Option(help="Also the answers to this request; repeatable.")] = None,
) -> None:
    """Remove a person from captures and labels, in all versions, and list what still holds them."""
    target = options.target()
    name = target.model(model)
    store = forgetting.Store(target.client("s3"), target.outputs["DataBucket"])
    subject = forgotten.subject(name, key, column)
    person = forgetting.Person(subject, frozenset(request or []), forgotten.secret(target.state, name))
    now, actor = datetime.now(UTC), target.caller()
    forgotten.begin(target.ledger, name, person.alias, actor, now)
    found = forgetting.forget(store, name, person, evidence.datasets(target, name))
    forgotten.conclude(target.state, target.ledger, found, actor, now)
    ends = forgotten.ends(target, now.date())
    if options.json:
        as_json({**found.model_dump(mode="json"), "ends": ends.to_json(found.held)})
    else:
        history.show_forgotten(found, ends)
    if found.left:
        raise typer.Exit(1)


@app.command()
def report(
    model: Model = None,
    stage: Annotated[str | None, typer.Option(help="ingest, train or monitor.")] = None,
    subject: Annotated[str | None, typer.Option("--of", help="A claim, run or window; the newest without one.")] = None,
    browse: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    schema: Annotated[bool, typer.Option(help="Print the JSON Schema of ingest's reports.")] = False,
) -> None:
    """Fetch the newest report; with --json its content."""
    if schema:
        as_json(json_schema())
        return
    target = options.target()
    found = evidence.newest(target, target.model(model), stage, subject)
    if options.json:
        as_json(evidence.document(target, found))
        return
    if found.stage == "ingest":
        judgements.show(Judgement.model_validate(evidence.document(target, found)))
    path = evidence.fetch(target, found)
    console.print(str(path), soft_wrap=True)
    if browse:
        typer.launch(path.as_uri())


@app.command(name="export")
def export_(
    folder: Annotated[Path, typer.Argument(help="Where to; must not exist yet, or be empty.")],
    model: Model = None,
    version: Annotated[int | None, typer.Option(help="The champion, without one.")] = None,
) -> None:
    """Write a version as one folder that answers the same without AWS."""
    target = options.target()
    found = export.export(target, target.model(model), version, folder)
    if options.json:
        as_json(vars(found))
    else:
        console.print(
            f"Version {found.version} of {found.model}: {found.files} files in {found.folder}", soft_wrap=True
        )
        console.print("README.md there says how to run it; the server asks nobody who is calling.")


@app.command(name="history")
def history_(
    model: Model = None, verify: Annotated[bool, typer.Option("--verify", help="Check the chain of hashes.")] = False
) -> None:
    """Everything that was decided, by whom, on what evidence."""
    target = options.target()
    name = target.model(model)
    entries = list(evidence.ledger(target, name))
    if verify:
        checked = history.verified(entries)
        as_json({"entries": checked, "intact": True}) if options.json else console.print(
            f"{checked} entries, each continuing the hash of the one before: the chain is intact."
        )
    elif options.json:
        as_json([entry.model_dump(mode="json") for entry in entries])
    else:
        history.show_ledger(entries)


@app.command(name="console")
def console_(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; any free port without one.")] = 0,
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
    token_file: Annotated[
        Path | None, typer.Option(help="Holds the bearer token; a new one is written where there is none.")
    ] = None,
) -> None:
    """Look at the models in a browser: a proxy on this machine signs, also for clients that cannot."""
    serve(options.target(), port, token_file, browse=browse, machine=options.json)


@app.command()
def logs(
    what: Annotated[str, typer.Argument(help="A stage (serve) or a function (serve-infer).")] = "",
    job: Annotated[str | None, typer.Option(help="A training job's name.")] = None,
    minutes: Annotated[int, typer.Option(help="How far back.")] = 30,
) -> None:
    """The last lines of a stage, a function or a training job."""
    for line in cloud.logs(options.target(), what, job, minutes):
        console.print(line, soft_wrap=True, markup=False)


@app.command(name="demo")
def demo_(
    model: Annotated[str, typer.Option(help="A folder of models/ with a demo.yaml.")] = "",
    reset: Annotated[bool, typer.Option(help="Throw away a local cloud that is not the demo's.")] = False,
) -> None:
    """A model's whole life on the local cloud: upload, training, release, predictions, drift, retraining."""
    demo.run(model or None, reset=reset)


def main() -> None:
    """Run the command; an error is told with its headline and remedy, and gives the exit code."""
    try:
        app()
    except InterlockError as error:
        _tell(error.headline, error.message, error.next_step, {"error": type(error).__name__})
        if options.verbose:
            raise
        sys.exit(error.exit_code)
    except (ClientError, BotoCoreError) as error:
        _tell("AWS refused", str(error), "Check the profile's permissions; `interlock doctor` helps.", {})
        if options.verbose:
            raise
        sys.exit(7)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            console.print("\nStopped. What runs in the cloud goes on; `interlock watch` follows it.")
        raise


def _tell(headline: str, message: str, remedy: str, more: dict[str, Any]) -> None:
    if options.json:
        as_json({"headline": headline, "message": message, "remedy": remedy, **more})
        return
    console.print(f"[bold red]{headline}[/]")
    console.print(message, markup=False, soft_wrap=True)
    console.print(f"[bold]What to do:[/] {remedy}", soft_wrap=True)
