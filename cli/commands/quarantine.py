"""`interlock quarantine …`."""

from __future__ import annotations

import itertools
import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.options import options
from cli.quarantine import held
from cli.quarantine.mending import BadRow, bad_rows
from cli.uploads import Sent, follow
from cli.view import ago, as_json, console, table
from ingest.judgement import Judgement
from interlock.cells import harmless, visible
from interlock.records import Claim, ClaimStatus

app = typer.Typer(help="Bad rows: listed, shown with their reasons, mended, sent again.", no_args_is_help=True)

ClaimId = Annotated[str, typer.Argument(help="The upload's claim, from the list or the report.")]


@app.command(name="list")
def list_(
    model: Annotated[str | None, typer.Argument(help="The model's id; may be left out when there is only one.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many uploads, the newest first.")] = 20,
) -> None:
    """The uploads with bad rows, and what was sent again of them."""
    target = options.target()
    name = target.model(model)
    found = held.listed(target, name, limit)
    if options.json:
        as_json([_document(item) for item in found])
        return
    if not found:
        console.print(f"No row of {name} is in quarantine.")
    table(
        f"Quarantine of {name}",
        ("claim", "file", "uploaded", "verdict", "rows", "bad", "sent again as"),
        [
            (
                item.judgement.claim,
                visible(item.file),
                ago(item.at),
                "admitted" if item.judgement.verdict == "admit" else "rejected",
                f"{item.judgement.rows:,}",
                f"{item.judgement.bad_rows:,}",
                "\n".join(f"{claim}\n{status}" for claim, status in item.again) or "-",
            )
            for item in found
        ],
    )


@app.command()
def show(
    claim: ClaimId,
    limit: Annotated[int, typer.Option(min=0, help="How many rows; 0 for all.")] = 100,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="Write the file to mend here instead.")] = None,
) -> None:
    """The bad rows as they came, restricted values included, with what is wrong with each."""
    target = options.target()
    found = held.find(target, claim)
    body = held.body(target, found)
    if out is not None:
        out.write_bytes(body)
        rows = list(bad_rows(body))
        if options.json:
            as_json({"claim": claim, "file": str(out), "rows": len(rows)})
            return
        _told_how_to_mend(found, out, rows)
        return
    rows = list(itertools.islice(bad_rows(body), limit or None))
    if options.json:
        as_json({"claim": claim, "model": found.model, "bad_rows": found.bad_rows, "rows": [vars(row) for row in rows]})
        return
    if console.is_terminal:
        # As git does: colours, and no paging of what fits.
        os.environ.setdefault("LESS", "FRX")
        with console.pager(styles=True):
            _print_rows(found, rows)
    else:
        _print_rows(found, rows)


@app.command()
def retry(
    claim: ClaimId,
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, help="The mended file; without it the rows as they are."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also when these very rows were sent before.")] = False,
) -> None:
    """Send mended rows again, linked to the upload they came from; the same file twice does nothing twice."""
    target = options.target()
    first = held.find(target, claim)
    with tempfile.TemporaryDirectory() as folder:
        if file is None:
            file = Path(folder) / "bad-rows"
            file.write_bytes(held.body(target, first))
        sent, now = held.send(target, first, file, again=again)
    if not now:
        _told_of_before(first, sent, held.became(target, sent))
        return
    follow(target, sent)


def _document(item: held.Held) -> dict[str, Any]:
    judgement = item.judgement
    return {
        "claim": judgement.claim,
        "model": judgement.model,
        "file": judgement.source.key,
        "at": item.at,
        "verdict": judgement.verdict,
        "rows": judgement.rows,
        "bad_rows": judgement.bad_rows,
        "origin": judgement.origin.claim if judgement.origin else None,
        "sent_again": [{"claim": claim, "status": status} for claim, status in item.again],
    }


def _print_rows(found: Judgement, rows: list[BadRow]) -> None:
    name = found.source.key.rsplit("/", 1)[-1]
    console.print(
        f"[bold]{escape(visible(name))}[/]: {found.bad_rows:,} of {found.rows:,} rows are bad\n", soft_wrap=True
    )
    for row in rows:
        console.print(f"[bold]row {row.row:,}[/]  [red]{escape(visible('; '.join(row.reasons)))}[/]", soft_wrap=True)
        console.print(f"  {_cells(row)}\n", soft_wrap=True)
    if (left := found.bad_rows - len(rows)) > 0:
        console.print(f"[dim]and {left:,} more: --limit 0 shows all, --out FILE writes them[/]")


def _cells(row: BadRow) -> str:
    """The row's cells, those with a reason in red; a row that cannot be assigned as it stands."""
    if row.values is None:
        return escape(visible(row.raw))
    wrong = {reason.rpartition(": ")[0] for reason in row.reasons}
    cells = []
    for name, value in row.values.items():
        text = escape(visible(f"{name}={'null' if value is None else value}"))
        cells.append(f"[red]{text}[/]" if name in wrong else f"[dim]{text}[/]")
    return "  ".join(cells)


def _told_how_to_mend(found: Judgement, out: Path, rows: list[BadRow]) -> None:
    console.print(f"{len(rows):,} bad row{'s' if len(rows) > 1 else ''} in {escape(str(out))}.", soft_wrap=True)
    formulas = sum(
        any(value is not None and harmless(value) != value for value in (row.values or {"": row.raw}).values())
        for row in rows
    )
    if formulas:
        console.print(
            f"[yellow]{formulas:,} of them hold a cell that a spreadsheet would run as a formula: mend them in a text "
            "editor, or import every column as text.[/]",
            soft_wrap=True,
        )
    if found.verdict == "admit":
        console.print(f"Mend them and send them again: interlock quarantine retry {found.claim} {escape(str(out))}")
    else:
        console.print(
            "The upload was rejected as a whole: mend the whole file, and send that: "
            f"interlock quarantine retry {found.claim} FILE",
            soft_wrap=True,
        )


def _told_of_before(first: Judgement, sent: Sent, claim: Claim | None) -> None:
    status = claim.status if claim else "not taken yet"
    if options.json:
        as_json({**vars(sent), "claim": sent.claim, "origin": first.claim, "sent_before": True, "status": status})
    else:
        console.print(
            f"These very rows were sent {ago(sent.at)}, as claim {sent.claim}: {status}. Nothing was done twice.\n"
            f"After a change of the contract: interlock quarantine retry {first.claim} … --again",
            soft_wrap=True,
        )
    if status in {ClaimStatus.REJECTED, ClaimStatus.FAILED}:
        raise typer.Exit(5)
