"""Data in, answers out: uploads, predictions, whole files scored, labels."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli import inference, scoring, uploads
from cli.options import Model, options
from cli.view import as_json, console, table
from interlock.keys import MODE, REFRESH

PANEL = "Data and predictions"
app = typer.Typer()
command = partial(app.command, rich_help_panel=PANEL)
_FILES = "CSV, JSON Lines or Parquet, plain, gzip or zstd"


@command()
def upload(
    model: Annotated[str, typer.Argument(help="The model's id.")],
    file: Annotated[
        Path,
        typer.Argument(exists=True, help=f"{_FILES}; or a folder of such, as one dataset."),
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


@command()
def predict(
    model: Model = None,
    row: Annotated[list[str] | None, typer.Option(help="A row as column=value,column=value; may be repeated.")] = None,
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Rows as CSV or JSON.")] = None,
    curl: Annotated[bool, typer.Option("--curl", help="Print the curl line that asks the same.")] = False,
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


@command()
def score(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=f"{_FILES}.")],
    model: Annotated[str | None, typer.Option(help="The model's id; may be left out when there is only one.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the predictions go; FILE.predictions.csv or .parquet here, without.")
    ] = None,
) -> None:
    """Score a whole file by the version that serves; a row that cannot be scored is told, the others are scored."""
    target = options.target()
    if not scoring.score(target, target.model(model), file, out).scored:
        raise typer.Exit(5)


@command()
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
