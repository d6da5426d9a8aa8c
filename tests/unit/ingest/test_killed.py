"""A judging that is killed half-way leaves nothing that looks finished; the next one ends as if it were the first."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ingest.engine import judge
from tests.unit.ingest.made import INTEGER, column, model

ROOT = Path(__file__).parents[3]
BY = model(column("id", INTEGER, unique=True), column("s", pattern="^z"))
_PROGRAM = """
import sys
from pathlib import Path
from ingest import records
from ingest.engine import judge
from tests.unit.ingest.test_killed import BY
records._BLOCK = 20_000
judge(Path(sys.argv[1]), BY, Path(sys.argv[2]), threads=2)
"""


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_a_judging_that_is_killed_is_repeated_as_if_it_were_the_first(tmp_path: Path) -> None:
    upload, first, again, whole = (tmp_path / name for name in ("upload", "first", "again", "whole"))
    lines = (f"{row % 99_000},{'x' if row % 1000 == 0 else 'z'}{row},{row}" for row in range(100_000))
    upload.write_text("id,s,y\n" + "\n".join(lines))
    for folder in (first, again, whole):
        folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(upload), str(first)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "functions", ROOT / "layers/core")))},
    )
    try:
        while sum(path.stat().st_size for path in first.glob("good-train.parquet")) < 20_000:
            assert process.poll() is None, "it ended before it was killed"
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    # Rows, and no file of a dataset.
    assert not {"train.parquet", "holdout.parquet"} & {path.name for path in first.iterdir()}
    answers = [judge(upload, BY, folder, threads=threads) for folder, threads in ((again, 2), (whole, 1))]
    assert digests(again) == digests(whole)
    assert {"train.parquet", "holdout.parquet", "violations.csv", "bad-rows.csv"} == set(digests(whole))
    assert answers[0].profile == answers[1].profile
    assert answers[0].findings == answers[1].findings
    assert (answers[0].rows, answers[0].bad_rows) == (100_000, 1_099)
