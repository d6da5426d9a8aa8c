"""What was found and decided: reports, the ledger, the console, a version with its papers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli import evidence, export, history, judgements
from cli.console import serve
from cli.evidence import Stage
from cli.options import Model, options
from cli.view import as_json, console
from ingest.judgement import Judgement, json_schema

PANEL = "What was decided"
app = typer.Typer()
command = partial(app.command, rich_help_panel=PANEL)


@command()
def report(
    model: Model = None,
    stage: Annotated[Stage | None, typer.Option(help="Whose; the newest of any without one.")] = None,
    subject: Annotated[str | None, typer.Option("--of", help="A claim, run or window; the newest without one.")] = None,
    browse: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of ingest's reports.")] = False,
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


@command(name="history")
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


@command(name="export")
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


@command(name="console")
def console_(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; any free port without one.")] = 0,
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Open it in the browser.")] = True,
    token_file: Annotated[
        Path | None, typer.Option(help="Holds the bearer token; a new one is written where there is none.")
    ] = None,
) -> None:
    """Look at the models in a browser: a proxy on this machine signs, also for clients that cannot."""
    serve(options.target(), port, token_file, browse=browse, machine=options.json)
