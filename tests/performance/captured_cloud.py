"""Whether the local cloud mixes answers up or loses captures: `python -m tests.performance.captured_cloud [CALLS]`.

A cloud of its own with the census model, 2,000 signed calls by 16 callers, cold functions first. Every answer is held
against that to all rows in one request; every capture, once it has gone through log, subscription and function into
the bucket, against the call that it is about. The last line is one JSON object.
"""

from __future__ import annotations

import gzip
import json
import shutil
import statistics
import sys
import time
from collections import Counter
from datetime import UTC, datetime

from cli import executions, uploads
from cli.target import Target
from localcloud import supervisor
from localcloud.deploy import deploy_local
from tests.local import crowd
from tests.local.conftest import CENSUS, ROOT, ended

HOME = supervisor.HOME / "captured"


def serving(target: Target) -> None:
    """Train and release the model."""
    before = datetime.now(UTC)
    path = HOME / "census.csv"
    with gzip.open(ROOT / f"models/{CENSUS}/data/part-1.csv.gz", "rb") as file:
        path.write_bytes(b"".join(file.readlines()[:6001]))
    ended(target, uploads.run_of(target, uploads.send(target, CENSUS, path)), "Admitted")
    for workflow, state in (("train", "Done"), ("release", "Promoted")):
        ended(target, executions.wait_for(target, workflow, before, lambda _run: True), state)


def main(calls: int) -> None:
    """Ask, wait, count."""
    supervisor.down(HOME)
    shutil.rmtree(HOME, ignore_errors=True)
    shutil.copytree(ROOT / "models" / CENSUS, HOME / "models" / CENSUS)
    cloud = supervisor.up(HOME, lambda _line: None)
    try:
        deploy_local(cloud, {"environment": "captured", "models": str(HOME / "models")}, lambda _line: None)
        target = Target("captured", cloud, None)
        serving(target)
        began = time.monotonic()
        answers = crowd.ask(target, crowd.people(calls))
        asked = time.monotonic() - began
        found = Counter(crowd.kept(target, answers, HOME))
        arrived = time.monotonic() - began - asked
    finally:
        supervisor.down(HOME)
        shutil.rmtree(HOME, ignore_errors=True)
    wanted = Counter(crowd.sent(answers))
    seconds = sorted(answer.seconds for answer in answers)
    ids = Counter(row[0] for row in found.elements())
    result = {
        "calls": calls,
        "callers": crowd.CALLERS,
        "seconds": round(asked, 1),
        "slowest": round(seconds[-1], 2),
        "median": round(statistics.median(seconds), 3),
        "lost": sum(answer.request_id not in ids for answer in answers),
        "twice": sum(times > 1 for times in ids.values()),
        "wrong": sum((found - wanted).values()),
        "arrived_after": round(arrived, 1),
    }
    print(json.dumps(result))
    sys.exit(bool(result["lost"] or result["twice"] or result["wrong"]))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
