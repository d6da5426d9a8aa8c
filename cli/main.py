"""The command: what stands before every word, the words in the order of their help, and how an error is told."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError

from cli.commands import cloud, contracts, data, evidence, forget, lifecycle, quarantine, releases
from cli.options import options
from cli.view import as_json, console
from interlock import VERSION
from interlock.errors import InterlockError

app = typer.Typer(
    help="Machine-learning models on AWS without servers: upload data, call HTTPS, run cdk deploy.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for words in (cloud, data, forget, lifecycle, evidence):
    app.add_typer(words.app)
app.add_typer(quarantine.app, name="quarantine", rich_help_panel=data.PANEL)
app.add_typer(contracts.models, name="model", rich_help_panel=lifecycle.PANEL)
app.add_typer(contracts.contracts, name="contract", rich_help_panel=lifecycle.PANEL)
app.add_typer(releases.app, name="release", rich_help_panel=lifecycle.PANEL)
# What Typer makes of Ctrl-C.
_INTERRUPTED = 130


def _say_version(wanted: bool) -> None:
    if wanted:
        console.print(f"interlock {VERSION}")
        raise typer.Exit


@app.callback()
def before(
    env: Annotated[str, typer.Option(help="The environment.", envvar="INTERLOCK_ENV")] = "dev",
    profile: Annotated[str | None, typer.Option(help="AWS profile; without one the local cloud is used.")] = None,
    as_json_: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show the traceback of an error.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", is_eager=True, callback=_say_version)
    ] = False,
) -> None:
    """Run models on AWS without servers, or on this laptop."""
    options.environment, options.profile, options.json, options.verbose = env, profile, as_json_, verbose
    # Whoever reads JSON on standard output reads nothing else there.
    console.stderr = as_json_


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
        refused = isinstance(error, ClientError)
        headline = "AWS refused" if refused else "AWS cannot be asked"
        check = "permissions" if refused else "sign-in and region, and the network"
        _tell(headline, str(error), f"Check the profile's {check}; `interlock doctor` helps.", {})
        if options.verbose:
            raise
        sys.exit(7)
    except OSError as error:
        # One of a file that was named; any other is a fault of ours, and stays what it is.
        if error.filename is None or options.verbose:
            raise
        _tell("The file cannot be used", f"{error.filename}: {error.strerror}", "Check the path and its rights.", {})
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            console.stderr = True
            console.print("\nStopped. What runs in the cloud goes on; `interlock watch` follows it.")
        raise


def _tell(headline: str, message: str, remedy: str, more: dict[str, Any]) -> None:
    if options.json:
        as_json({"headline": headline, "message": message, "remedy": remedy, **more})
        return
    console.stderr = True
    console.print(f"[bold red]{headline}[/]")
    console.print(message, markup=False, soft_wrap=True)
    console.print(f"[bold]What to do:[/] {remedy}", soft_wrap=True)
