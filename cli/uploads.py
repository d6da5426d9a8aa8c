"""Uploads: sent, followed, summed up; rows read from the command line or a file."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from rich.progress import Progress

from cli import evidence, executions, judgements
from cli.executions import Run, wait_for
from cli.options import options
from cli.target import Target
from cli.view import ago, as_json, console
from cli.watching import show
from ingest.judgement import Judgement
from interlock.errors import InvalidRequest
from interlock.keys import INCOMING, MANIFEST, Arrived, set_part

# Clocks of the laptop and the cloud may differ a little.
_SKEW = timedelta(seconds=5)
_AT_ONCE = 8


@dataclass(frozen=True)
class Sent:
    """An upload that has arrived."""

    model: str
    bucket: str
    key: str
    version: str
    at: datetime

    @property
    def claim(self) -> str:
        """Under which its reports (or predictions) lie."""
        return Arrived(self.bucket, self.key, self.version, self.model).claim


def send(
    target: Target,
    model: str,
    file: Path,
    name: str | None = None,
    metadata: Mapping[str, str] = {},
    folder: str = INCOMING,
) -> Sent:
    """Put a file where uploads (or files to score) are taken from, with a bar on a terminal."""
    key, bucket, at = f"{folder}{model}/{name or file.name}", target.outputs["DataBucket"], datetime.now(UTC)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task(f"uploading {file.name}", total=file.stat().st_size)
        target.client("s3").upload_file(
            str(file),
            bucket,
            key,
            ExtraArgs={"Metadata": dict(metadata)},
            Callback=lambda sent: progress.update(bar, advance=sent),
        )
    head = target.client("s3").head_object(Bucket=bucket, Key=key)
    return Sent(model, bucket, key, head["VersionId"], at)


def send_set(target: Target, model: str, folder: Path, metadata: Mapping[str, str] = {}) -> Sent:
    """Put the files of a folder where nothing starts by itself, and last the manifest that names them.

    Raises:
        InvalidRequest: there are none.
    """
    name = folder.resolve().name
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and not path.relative_to(folder).as_posix().startswith(".")
    )
    if not files:
        raise InvalidRequest(f"{folder} holds no files", remedy="Name a folder of data files, or one file.")
    s3, bucket = target.client("s3"), target.outputs["DataBucket"]

    def put(path: Path) -> dict[str, Any]:
        key = set_part(model, name, path.relative_to(folder).as_posix())
        s3.upload_file(str(path), bucket, key, Callback=lambda sent: progress.update(bar, advance=sent))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        head = s3.head_object(Bucket=bucket, Key=key)
        meta = {"content_length": head["ContentLength"]}
        return {"url": f"s3://{bucket}/{key}", "version": head["VersionId"], "sha256": digest, "meta": meta}

    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        total = sum(path.stat().st_size for path in files)
        bar = progress.add_task(f"uploading {len(files):,} files", total=total)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            entries = list(pool.map(put, files))
    with tempfile.TemporaryDirectory() as scratch:
        manifest = Path(scratch) / f"{name}{MANIFEST}"
        manifest.write_text(json.dumps({"entries": entries}, indent=1), "utf-8")
        return send(target, model, manifest, metadata=metadata)


def run_of(target: Target, sent: Sent, workflow: str = "ingest") -> Run:
    """The run that took this file."""

    def mine(run: Run) -> bool:
        found = run.input.get("detail", {}).get("object", {})
        return bool(found.get("key") == sent.key and found.get("version-id") == sent.version)

    return wait_for(target, workflow, sent.at - _SKEW, mine)


def follow(target: Target, sent: Sent) -> None:
    """Follow an upload to its end and tell what became of it.

    Raises:
        typer.Exit: it was not admitted.
    """
    run = run_of(target, sent)
    if options.json:
        for _ in executions.follow(target, run):
            pass
        dataset = evidence.dataset_of(target, sent.model, sent.claim)
        as_json(
            {
                **vars(sent),
                "claim": sent.claim,
                "run": run.name,
                "ended": run.last,
                "dataset": dataset.id if dataset else None,
            }
        )
    else:
        show(target, run)
        if run.last in {"Admitted", "Rejected"}:
            summarise(target, sent)
        tell_repeat(target, sent)
    if run.last not in {"Admitted", "Duplicate", "AlreadyTaken"}:
        raise typer.Exit(5)


def summarise(target: Target, sent: Sent) -> Judgement:
    """Show what ingest found; answers its document."""
    prefix = f"reports/{sent.model}/ingest/{sent.claim}/report.html"
    found = Judgement.model_validate(
        evidence.document(target, evidence.Report(sent.model, "ingest", sent.claim, prefix, None))
    )
    judgements.show(found)
    return found


def tell_repeat(target: Target, sent: Sent) -> None:
    """Say as what the same bytes were admitted before."""
    first = evidence.dataset_of(target, sent.model, sent.claim)
    if first is not None and first.claim != sent.claim:
        console.print(
            f"  The same bytes were admitted {ago(first.admitted_at)} as dataset {first.id}, from {first.source.uri}. "
            "Nothing is trained on twice.",
            soft_wrap=True,
        )


def rows(given: list[str], file: Path | None) -> list[dict[str, Any]]:
    """Rows from `column=value,…` words or from a CSV or JSON file.

    Raises:
        InvalidRequest: there are none, or one cannot be read.
    """
    found: list[dict[str, Any]] = []
    for words in given:
        pairs = [word.partition("=") for word in words.split(",")]
        if wrong := [name for name, sign, _ in pairs if not sign]:
            raise InvalidRequest(f"--row: {', '.join(wrong)} is not column=value")
        found.append({name.strip(): value or None for name, _, value in pairs})
    if file is not None:
        found += _rows_of(file)
    if not found:
        raise InvalidRequest("there are no rows to ask about", remedy="Give --row column=value,… or --file.")
    return found


def _rows_of(file: Path) -> list[dict[str, Any]]:
    try:
        text = file.read_text("utf-8-sig")
        if not text.lstrip().startswith(("[", "{")):
            return [{name: value or None for name, value in row.items()} for row in csv.DictReader(text.splitlines())]
        document = json.loads(text)
    except ValueError as error:
        raise InvalidRequest(f"{file} cannot be read: {error}", remedy="Give rows as UTF-8 CSV or JSON.") from None
    rows: Any = document if isinstance(document, list) else document.get("rows", [document])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InvalidRequest(f"{file} holds no rows", remedy='Give [{"column": value, …}, …] or {"rows": [ … ]}.')
    return rows
