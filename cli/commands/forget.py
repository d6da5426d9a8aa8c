"""`interlock forget`: a person removed, and what still holds them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli import evidence
from cli.commands.data import PANEL
from cli.forget import remains, removing
from cli.forget.remains import Ends
from cli.forget.removing import Forgotten, Person, Store
from cli.options import Model, options
from cli.view import as_json, console, note, table

app = typer.Typer()


@app.command(rich_help_panel=PANEL)
def forget(
    key: Annotated[str, typer.Argument(help="Whom: the value of the column.")],
    model: Model = None,
    column: Annotated[str | None, typer.Option(help="Which names a person; else the contract's mark.")] = None,
    request: Annotated[list[str] | None, typer.Option(help="Also the answers to this request; repeatable.")] = None,
) -> None:
    """Remove a person from captures and labels, in all versions, and list what still holds them."""
    target = options.target()
    name = target.model(model)
    store = Store(target.client("s3"), target.outputs["DataBucket"])
    subject = remains.subject(name, key, column)
    person = Person(subject, frozenset(request or []), remains.secret(target.state, name))
    now, actor = datetime.now(UTC), target.caller()
    remains.begin(target.ledger, name, person.alias, actor, now)
    found = removing.forget(store, name, person, evidence.datasets(target, name))
    remains.conclude(target.state, target.ledger, found, actor, now)
    ends = remains.ends(target, now.date())
    if options.json:
        as_json({**found.model_dump(mode="json"), "ends": ends.to_json(found.held)})
    else:
        _show(found, ends)
    if found.left:
        raise typer.Exit(1)


def _show(found: Forgotten, ends: Ends) -> None:
    """What was removed, what still holds the person and is marked, and when logs and backups end."""
    console.print(
        f"{found.captures} captured rows and {found.labels} labels removed from {found.versions} stored versions;"
        f" a second search finds {found.left or 'nothing'}. In the ledger as person {found.person}."
    )
    if found.held:
        table(
            f"Files that still hold them (of {found.searched:,} versions that were searched)",
            ("file", "versions", "rows", "there until"),
            [
                (
                    item.key,
                    item.versions,
                    "unreadable" if item.rows is None else item.rows,
                    ends.of(item) or "you remove it",
                )
                for item in found.held
            ],
        )
    else:
        note(f"no other file holds them: {found.searched:,} versions were searched")
    if found.datasets:
        note(f"the datasets {', '.join(found.datasets)} are marked: upload the data without them, --refresh")
    if found.models:
        note(f"the runs {', '.join(found.models)} were trained on them and are marked: train anew after that")
    for what, day in (
        ("serving's log lines", ends.logs),
        ("old versions of stored files", ends.versions),
        ("the tables' backups", ends.backups),
    ):
        note(f"{what} end by themselves, the last on {day}" if day else f"{what} have no end that is set")
