"""A file scored: sent, followed, its predictions brought here."""

from __future__ import annotations

from pathlib import Path

from rich.markup import escape

from cli import executions
from cli.options import options
from cli.target import Target
from cli.uploads import Sent, run_of, send
from cli.view import as_json, console, table
from cli.watching import show
from interlock import errors
from interlock.cells import visible
from interlock.keys import SCORE, predictions
from serve.score.documents import Result


def score(target: Target, model: str, file: Path, out: Path | None) -> Result:
    """Put a file where files are scored, follow it, and bring its predictions here.

    Raises:
        InterlockError: why it was not scored.
    """
    sent = send(target, model, file, folder=SCORE)
    run = run_of(target, sent, "score")
    if options.json:
        for _ in executions.follow(target, run):
            pass
    else:
        show(target, run)
    found = _result(target, sent)
    if found is None or found.state == "failed":
        raise _failure(found, run)
    path = _bring(target, found, out or Path.cwd() / f"{file.name.partition('.')[0]}.predictions")
    if options.json:
        as_json({**found.model_dump(mode="json"), "bad": found.bad, "file": str(path)})
    else:
        _tell(found, path)
    return found


def _result(target: Target, sent: Sent) -> Result | None:
    """The answer's document; None when the run ended before it wrote one."""
    s3, key = target.client("s3"), predictions(sent.model, sent.claim, "result.json")
    listed = s3.list_objects_v2(Bucket=sent.bucket, Prefix=key)
    if not listed.get("Contents"):
        return None
    return Result.from_json(s3.get_object(Bucket=sent.bucket, Key=key)["Body"].read())


# What to do where the error's own words are about uploads or checks.
_REMEDIES = {
    "InvalidUpload": "Mend the file and score it again.",
    "NotServing": "Release a version, then score again; `interlock status` shows what serves.",
}


def _failure(found: Result | None, run: executions.Run) -> errors.InterlockError:
    """Why a file was not scored, as the error that it was."""
    name, message = (found.error, found.message) if found else (run.error, run.message)
    kind = getattr(errors, name or "", None)
    if isinstance(kind, type) and issubclass(kind, errors.InterlockError):
        return kind(message or "no reason was given", remedy=_REMEDIES.get(name or ""))
    return errors.InterlockError(
        f"score {run.name} ended in {run.last}: {name}", remedy=f"`interlock retry {run.name}`."
    )


def _bring(target: Target, found: Result, out: Path) -> Path:
    """Download the predictions; what has no ending gets theirs."""
    ref = found.predictions
    assert ref is not None  # noqa: S101 - a scored file has them
    path = out if out.suffix in {".csv", ".parquet"} else out.with_name(f"{out.name}{Path(ref.key).suffix}")
    extra = {"VersionId": ref.version}
    target.client("s3").download_file(ref.bucket, ref.key, str(path), ExtraArgs=extra)
    return path


def _tell(found: Result, path: Path) -> None:
    console.print(
        f"  {found.scored:,} of {found.rows:,} rows scored by version {found.version}"
        + (f", [red]{found.bad:,} not[/]" if found.bad else "")
    )
    table("", ("row", "why not"), [(f"{item.row:,}", visible(item.error)) for item in found.errors[:5]])
    console.print(f"  {escape(str(path))}", soft_wrap=True)
