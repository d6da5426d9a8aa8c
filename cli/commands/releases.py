"""`interlock release …`: what is on its way, who decided, and a person's say in it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli import history as told
from cli import releases
from cli.options import Model, options
from cli.view import ago, as_json, console, note
from cli.watching import show
from interlock.errors import InvalidRequest

app = typer.Typer(help="What is on its way, who decided, and your say in it.", no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="Why, for the ledger.")]


@app.command()
def status(model: Model = None) -> None:
    """What serves, what is on its way, what it has shown so far, what waits for an approval."""
    target = options.target()
    name = target.model(model)
    found = releases.status(target, name)
    live = found.live
    if options.json:
        as_json(
            {
                "live": live.model_dump(mode="json") if live else None,
                "bake": found.bake,
                "waiting": [{"version": item.version, "package": item.arn} for item in found.waiting],
            }
        )
        return
    if live is None:
        console.print(f"{name}: nothing has been released yet.")
    else:
        champion = f"version {live.champion.version}" if live.champion else "nothing"
        console.print(f"[bold]{name}[/]: {champion} serves (revision {live.revision}, {ago(live.changed_at)})")
        note(f"{live.action}: {live.reason}")
    if live is not None and live.challenger is not None:
        share = f"{live.share:.3g} of the calls" if live.share else "no call"
        steps = len(live.plan.shares) if live.plan else 0
        step = f", step {live.step + 1} of {steps}" if live.state != "probing" and steps else ""
        console.print(f"[cyan]{live.state}[/]: version {live.challenger.version} answers {share} ({live.mode}{step})")
    if found.bake is not None:
        note(f"{found.bake['calls']:,} calls beside {found.bake['champion_calls']:,}; {found.bake['reason']}")
        told.show_verdict(found.bake)
    for item in found.waiting:
        console.print(f"[yellow]waits[/]: version {item.version} for an approval (`interlock release approve {name}`)")


@app.command()
def history(model: Model = None) -> None:
    """Every change of what serves: when, by whom, why; the ledger's chain is verified."""
    target = options.target()
    found = releases.decisions(target, target.model(model))
    if options.json:
        as_json([item.model_dump(mode="json") for item in found])
        return
    for item in found:
        given = item.evidence
        challenger = given["challenger"]
        beside = f", beside it version {challenger} at {100 * given['share']:.3g}%" if challenger else ""
        serves = f"version {given['champion']} serves" if given["champion"] else "nothing serves"
        what = f"{item.subject}: {item.action}; {serves}{beside}"
        at = datetime.fromisoformat(given["changed_at"])
        told.show_decision(given["revision"], at, what, item.actor, told.plain(given["reason"]))


@app.command()
def promote(model: Model = None, reason: Reason = "by hand") -> None:
    """Give all of the traffic to the version that is on its way, whatever it has shown."""
    _steer(model, "promote", reason)


@app.command()
def pause(model: Model = None, reason: Reason = "by hand") -> None:
    """Keep the share as it is; a bad version is still taken back."""
    _steer(model, "pause", reason)


@app.command()
def resume(model: Model = None, reason: Reason = "by hand") -> None:
    """Let the step bake anew."""
    _steer(model, "resume", reason)


@app.command()
def rollback(model: Model = None, reason: Reason = "by hand") -> None:
    """Take back what is on its way, or else serve the version before; callers get it within five seconds."""
    target = options.target()
    answer = releases.rollback(target, target.model(model), reason)
    if options.json:
        as_json(answer)
        return
    serving = f"version {answer['version']} serves" if answer["version"] else "nothing serves"
    console.print(f"Version {answer['taken_back']} was taken back; {serving} (revision {answer['revision']}).")


@app.command()
def check(model: Model = None) -> None:
    """Judge now what is judged every minute."""
    target = options.target()
    name = target.model(model)
    found = releases.check(target, name)
    as_json({"model": name, "found": found}) if options.json else console.print(found)


@app.command()
def approve(
    comment: Annotated[str, typer.Option(help="Why, for the registry and the ledger.")],
    model: Model = None,
    version: Annotated[int | None, typer.Option(help="The newest that waits, without one.")] = None,
) -> None:
    """Say yes to a version as it is now; what has changed by the time it is released is refused."""
    target = options.target()
    run = releases.approve(target, target.model(model), version, comment)
    console.print(f"[bold]release[/] {run.name}")
    if show(target, run).status != "SUCCEEDED":
        raise typer.Exit(5)


@app.command()
def which(
    request_id: Annotated[str, typer.Argument(help="The answer's request id.")],
    model: Model = None,
    day: Annotated[str | None, typer.Option(help="The day of the call (UTC); the last seven without one.")] = None,
) -> None:
    """Which version answered a request."""
    target = options.target()
    found = releases.which(target, target.model(model), request_id, day)
    if options.json:
        as_json(found)
        return
    console.print(
        f"Version {found['version']} answered it at {found['time']} as {found['role']}, under revision "
        f"{found['revision']} (since {found['since']})."
    )


@app.command()
def champion(
    model: Model = None,
    at: Annotated[str | None, typer.Option(help="A moment (UTC), as 2026-03-02T06:00; now without one.")] = None,
) -> None:
    """Which version was champion at a moment, by the ledger."""
    target = options.target()
    name = target.model(model)
    try:
        moment = datetime.fromisoformat(at) if at else datetime.now(UTC)
    except ValueError:
        raise InvalidRequest(f"'{at}' is not a moment", remedy="Write it as 2026-03-02T06:00.") from None
    found = releases.at(target, name, moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    if options.json:
        as_json(found.model_dump(mode="json"))
        return
    champion_ = found.evidence["champion"]
    console.print(f"Version {champion_} was champion." if champion_ else "No version served.")
    note(f"revision {found.evidence['revision']}: {found.action}, by {found.actor}, at {found.evidence['changed_at']}")


def _steer(model: str | None, action: str, reason: str) -> None:
    target = options.target()
    answer = releases.steer(target, target.model(model), action, reason)
    if options.json:
        as_json(answer)
    else:
        console.print(f"Version {answer['version']}: {answer['state']} (revision {answer['revision']}).")
