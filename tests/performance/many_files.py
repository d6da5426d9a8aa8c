"""A set of many files on the local cloud: `python -m tests.performance.many_files [FILES] [ROWS A FILE]`.

Made-up flats (`tests.local.conftest`) with one key of the first file in the last, uploaded as a set and, to compare, as
one file of the same rows. Prints how long each step took, and as its last line one JSON object. The local cloud has
all of its functions on one machine: on AWS the files are judged on five.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path

from cli import evidence, executions, uploads
from cli.executions import Run
from cli.target import Target
from localcloud import supervisor
from localcloud.deploy import deploy_local
from tests.local.conftest import RENT, rent_rows, write_rents

HOME = supervisor.HOME / "many-files"


def ingest(target: Target, sent: uploads.Sent) -> tuple[Run, float]:
    """Follow an upload to its end; answers the seconds from its event."""
    run = uploads.run_of(target, sent)
    for _ in executions.follow(target, run):
        pass
    assert run.last == "Admitted", f"{run.last}: {run.error} {run.message}"
    return run, run.seconds


def main(files: int, rows: int) -> None:
    """Measure and print."""
    supervisor.down(HOME)
    shutil.rmtree(HOME, ignore_errors=True)
    # Nothing is trained beside.
    write_rents(HOME / "models" / RENT, on="request")
    cloud = supervisor.up(HOME, print)
    try:
        deploy_local(cloud, {"environment": "many", "models": str(HOME / "models")}, lambda _line: None)
        target = Target("many", cloud, None)
        with tempfile.TemporaryDirectory() as scratch:
            folder, whole = Path(scratch) / "flats", Path(scratch) / "flats.csv"
            folder.mkdir()
            texts = [rent_rows(rows, seed=number) for number in range(files)]
            texts[-1] += texts[0].splitlines()[1] + "\n"
            for number, text in enumerate(texts):
                (folder / f"{number:05}.csv").write_text(text, "utf-8")
            whole.write_text(texts[0] + "".join(text.split("\n", 1)[1] for text in texts[1:]), "utf-8")
            began = time.monotonic()
            sent = uploads.send_set(target, RENT, folder)
            uploaded = time.monotonic() - began
            many, seconds = ingest(target, sent)
            one, alone = ingest(target, uploads.send(target, RENT, whole))
        by_claim = {item.claim: item for item in evidence.datasets(target, RENT)}
        found, other = by_claim[sent.claim], next(item for item in by_claim.values() if item.claim != sent.claim)
        for name in ("rows", "bad_rows", "train_rows", "holdout_rows"):
            assert getattr(found, name) == getattr(other, name), name
        assert found.bad_rows == 1
        for step in many.steps:
            done = f"{step.items[0]} of {step.items[1]} files" if step.items else ""
            print(f"{step.name:12} {step.seconds:7.1f} s  {done}")
        judging = next(step.seconds for step in one.steps if step.name == "Validate")
        print(f"as one file  {alone:7.1f} s  (Validate {judging:.1f} s)")
        answer = {
            "files": files,
            "rows": found.rows,
            "bad_rows": found.bad_rows,
            "upload_seconds": round(uploaded, 1),
            "seconds": round(seconds, 1),
            "one_file_seconds": round(alone, 1),
            "ratio": round(seconds / alone, 2),
        }
        print(json.dumps(answer))
    finally:
        supervisor.down(HOME)
        shutil.rmtree(HOME, ignore_errors=True)


if __name__ == "__main__":
    main(*(int(word) for word in [*sys.argv[1:], "200", "1000"][:2]))
