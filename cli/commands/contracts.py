"""`interlock model` and `interlock contract`."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cli import judgements
from cli.contracts import inferring, linting, observing, scaffolding, stored, trying
from cli.options import models_folder, options
from cli.view import as_json, console, table
from interlock.cells import visible
from interlock.errors import InvalidRequest
from interlock.folder import read_contract_file, read_model
from interlock.models import DeployedModel

models = typer.Typer(help="A model's folder.", no_args_is_help=True)
contracts = typer.Typer(help="Data contracts: written, checked, tried, compared.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, gzip CSV, Parquet or JSON Lines.")]
Models = Annotated[Path | None, typer.Option("--models", help="The folder of models; else cdk.json's.")]
# As when an upload is rejected.
_REJECTED = 5


@models.command()
def new(
    file: File,
    name: Annotated[str | None, typer.Option(help="The model's id; else made of the file's name.")] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict; else one called so, or the last.")] = None,
    models_: Models = None,
) -> None:
    """Write a model's folder from a file: contract.yaml and model.yaml, each rule with its reason."""
    made = scaffolding.scaffold(file, models_ or models_folder(), name, target)
    if options.json:
        as_json({"folder": str(made.folder), "target": made.target, "kind": made.kind})
        return
    console.print(f"[bold]{escape(str(made.folder))}[/]: contract.yaml, model.yaml")
    why = "" if made.named else " (nobody said; else name it with --target)"
    console.print(f"  predicts {escape(made.target)}, {made.kind}{why}")
    console.print(
        f"  Next: read both files, then [bold]interlock contract test {made.folder.name} {escape(str(file))}[/],"
        " [bold]interlock deploy[/]"
    )


@contracts.command()
def infer(
    file: File,
    name: Annotated[str, typer.Option(help="The contract's id.")] = "",
    out: Annotated[Path | None, typer.Option(help="Where to write it; else it is printed.")] = None,
) -> None:
    """Write a first contract from a file, with the evidence for each rule as a comment."""
    written = inferring.contract_yaml(observing.observe(file), name or file.name.split(".")[0])
    if out is None:
        typer.echo(written, nl=False)
        return
    if out.exists():
        raise InvalidRequest(f"{out} is there already", remedy="Name another file, or remove it.")
    out.write_text(written, "utf-8")
    as_json({"contract": str(out)}) if options.json else console.print(str(out), soft_wrap=True)


@contracts.command()
def check(
    folder: Annotated[
        Path | None, typer.Argument(exists=True, help="A model's folder or a contract's file; all models without one.")
    ] = None,
    models_: Models = None,
) -> None:
    """Say what is wrong with a contract, each with its line; exit code 2 when something is."""
    every = models_ or models_folder()
    places = [folder] if folder else sorted(path.parent for path in every.glob("*/contract.yaml"))
    if not places:
        raise InvalidRequest(f"there is no model in {every}", remedy="Name a folder or a contract's file.")
    found = [wrong for place in places for wrong in linting.lint(place)]
    if options.json:
        as_json([asdict(wrong) for wrong in found])
    for wrong in [] if options.json else found:
        console.print(f"{wrong.file}:{wrong.line}: {wrong.message}", markup=False, soft_wrap=True)
    if found:
        raise typer.Exit(2)
    if not options.json:
        console.print(f"{len(places)} read: everything that is asked for is enforced.")


@contracts.command(name="test")
def try_(
    model: Annotated[str, typer.Argument(help="A model of the folder, its folder, or a contract's file.")],
    file: File,
    models_: Models = None,
) -> None:
    """Judge a file here as an upload would be judged; exit code 5 when it is rejected."""
    found = trying.judgement(_model(model, models_ or models_folder()), file)
    as_json(found.model_dump(mode="json")) if options.json else judgements.show(found)
    if found.verdict == "reject":
        raise typer.Exit(_REJECTED)


@contracts.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="MODEL | OLD", help="A model; or, with NEW, the contract before.")],
    new_: Annotated[str | None, typer.Argument(metavar="NEW", help="A model, a folder, or a contract's file.")] = None,
    file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Compare on this file.")] = None,
    last: Annotated[int, typer.Option(min=1, help="How many of the last uploads to compare on.")] = 5,
    models_: Models = None,
) -> None:
    """Say what a changed contract would newly reject or admit.

    MODEL: the contract that the serving version was trained by, beside the one in its folder. OLD NEW: these two.
    Compared on the model's last uploads in the cloud, or on a file.
    """
    after = _model(new_ or old, models_ or models_folder())
    before = _model(old, models_ or models_folder()) if new_ else stored.trained_by(options.target(), after.id)
    with tempfile.TemporaryDirectory(prefix="interlock-") as scratch:
        uploads = iter([(file, file.name)]) if file else stored.uploads(options.target(), after.id, last, Path(scratch))
        found = [trying.change(before, after, path, name) for path, name in uploads]
    if options.json:
        as_json([asdict(item) for item in found])
    else:
        console.print(
            f"{before.contract.version} → {after.contract.version}, on {len(found)} file{'s' * (len(found) != 1)}"
        )
        for item in found:
            _show(item)


def _show(found: trying.Change) -> None:
    console.print(f"[bold]{escape(visible(found.file))}[/]: {found.rows:,} rows, {found.before} → {found.after}")
    for problem in found.problems:
        console.print(f"  [red]{escape(visible(problem))}[/]")
    listed = [
        (word, f"{len(rows):,}", reason, f"{count:,}")
        for word, rows, why in (
            ("rejected", found.bad_rows, found.newly_bad),
            ("admitted", found.good_rows, found.newly_good),
        )
        for reason, count in why.items()
    ]
    if listed:
        table("", ("newly", "rows in all", "because of", "rows"), listed)
    elif not found.problems:
        console.print("  the same rows, the same verdict")


def _model(name: str, folder: Path) -> DeployedModel:
    """A model of the folder, a model's folder, or the contract of a file."""
    place = Path(name)
    if place.is_file():
        return trying.alone(read_contract_file(place))
    for candidate in (folder / name, place):
        if (candidate / "model.yaml").is_file():
            return read_model(candidate)
        if (candidate / "contract.yaml").is_file():
            return trying.alone(read_contract_file(candidate / "contract.yaml"))
    raise InvalidRequest(
        f"'{name}' is no model of {folder}, no folder with a contract.yaml and no file",
        remedy="Name a model, its folder, or a contract's file.",
    )
