"""What is and what was: status, drift, verdicts, the ledger."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime
from typing import Any

from rich.markup import escape

from cli import evidence, executions
from cli.target import Target
from cli.view import ago, console, note, table
from interlock.datasets import training_set
from interlock.ledger import Entry, verify

# Of an entry's evidence, as many letters are shown.
_LONGEST = 160


def status(target: Target) -> dict[str, Any]:
    """What a person asks first, as one document."""
    models = []
    for name in target.models:
        live = evidence.live(target, name)
        datasets = evidence.datasets(target, name)
        # How many take part is the same under any contract.
        used = training_set(datasets, evidence.repeats(target, name), contract_sha256="")
        outcomes = evidence.outcomes(target, name)
        champion = live.champion if live else None
        models.append(
            {
                "model": name,
                "version": champion.version if champion else None,
                "revision": live.revision if live else None,
                "state": live.state if live else "nothing serves",
                "since": live.changed_at if live else None,
                "datasets": len(datasets),
                "in_training": len(used),
                "rows": sum(item.rows for item in used),
                "traffic": outcomes[-1]["state"] if outcomes else None,
            }
        )
    runs = sorted(
        (run for workflow in executions.WORKFLOWS for run in executions.recent(target, workflow, 5)),
        key=lambda run: run.started,
        reverse=True,
    )
    return {
        "target": target.name,
        "api": target.outputs["ApiUrl"],
        "models": models,
        "runs": [
            {"workflow": run.workflow, "name": run.name, "status": run.status, "started": run.started,
             "seconds": round(run.seconds, 1)}
            for run in runs[:10]
        ],
    }  # fmt: skip


def show_status(found: dict[str, Any]) -> None:
    """For people."""
    console.print(f"{found['target']}\n{found['api']}\n")
    for item in found["models"]:
        serves = f"version {item['version']} serves" if item["version"] else "nothing serves"
        release = f" ({item['state']}, revision {item['revision']}, {ago(item['since'])})" if item["revision"] else ""
        console.print(f"[bold]{item['model']}[/]: {serves}{release}")
        datasets = f"{item['in_training']} of {item['datasets']} datasets in training, {item['rows']:,} rows"
        note(f"{datasets}; traffic: {item['traffic'] or 'not checked'}")
    console.print()
    table(
        "Newest runs",
        ("workflow", "name", "status", "started", "seconds"),
        [(run["workflow"], run["name"], run["status"], ago(run["started"]), run["seconds"]) for run in found["runs"]],
    )


def show_drift(target: Target, model: str) -> dict[str, Any]:
    """The newest window: what drifted and what was decided; answers its document."""
    report = evidence.newest(target, model, "monitor")
    found = evidence.document(target, report)
    drift = found["drift"]
    console.print(f"  {found['state'].replace('_', ' ')}: {drift['rows']:,} predictions of version {found['version']}")
    table(
        "",
        ("column", "verdict", "PSI", "by chance", "why"),
        [
            (item["column"], item["state"], f"{item['psi']:.3f}", f"{item['noise']:.3f}", item["reason"])
            for item in drift["columns"]
        ],
    )
    if (together := drift["together"]) is not None:
        note(f"together: {together['reason']}")
    for part in drift["segments"]:
        note(
            f"segment {part['column']} {part['value']}, {part['rows']:,} predictions: {part['state']}, {part['reason']}"
        )
    if (performed := found["performed"]) is not None:
        note(f"performance: {performed['state']}, {performed['reason']}")
    decided = next((item for item in evidence.outcomes(target, model) if item["window"] == found["window"]), None)
    if decided:
        note(f"decided: {decided['action']}, because {decided['reason']}")
    return found


def show_verdict(document: dict[str, Any]) -> None:
    """The gate's checks."""
    table(
        "",
        ("check", "", "value", "limit"),
        [
            (
                item["title"],
                item["status"],
                "" if item["value"] is None else f"{item['value']:.4g}" + _interval(item),
                item["limit"] + (f" ({item['reason']})" if item["reason"] and item["status"] != "pass" else ""),
            )
            for item in document["checks"]
        ],
    )


def show_ledger(entries: list[Entry]) -> None:
    """Every decision with its evidence."""
    for entry in entries:
        found = entry.decision
        what = f"{found.stage} {found.subject}: {found.action}"
        show_decision(entry.sequence, entry.at, what, found.actor, _short(found.evidence))


def show_decision(number: int, at: datetime, what: str, actor: str, why: str) -> None:
    """What was decided, and below it by whom and why.

    A function is told by its short name, a person by hers; who approved, where somebody did.
    """
    approved = re.search(r"\(approved by (.*)\)$", actor)
    name = (approved[1] if approved else actor).rsplit("/", 1)[-1]
    who = re.sub(r"^interlock-[a-z0-9]+-|^arn:.*:", "", name)
    console.print(f"[bold]{number:>3}[/]  [dim]{at:%m-%d %H:%M:%S}[/]  {escape(what)}")
    note(escape(f"{who}: {why}" if why else who), indent=5)


def plain(text: str) -> str:
    """An execution by the last part of its name."""
    return re.sub(r"arn:\S+:", "run ", text)


def verified(entries: list[Entry]) -> int:
    """Check every model's chain; answers the number of entries.

    Raises:
        LedgerBroken: names the entry.
    """
    chains: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        chains[entry.decision.model].append(entry)
    return sum(verify(chain) for chain in chains.values())


def _interval(item: dict[str, Any]) -> str:
    return "" if item["low"] is None else f"  [{item['low']:.4g}, {item['high']:.4g}]"


def _short(found: dict[str, Any]) -> str:
    """The small facts of an entry; addresses and hashes are for `--json`."""
    shown = (
        f"{name}={', '.join(map(str, value)) if isinstance(value, list) else plain(str(value))}"
        for name, value in found.items()
        if value not in (None, [], "")
        and not isinstance(value, dict)
        and not str(value).startswith(("s3://", "arn:"))
        and "sha256" not in name
    )
    return "; ".join(shown)[:_LONGEST]
