"""Streams a large file through ingest, in ranges, as from S3: `python -m tests.performance.large_ingest [GB or FILE]`.

A server in another process makes so much CSV while it is read (10 GB; no byte of it is stored anywhere), or reads a
Parquet file of the benchmark's columns (`ingest_data.py` writes one). Prints rows, bad rows, seconds, and the largest
memory and use of the scratch folder of the process that judges.
"""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import numpy as np

from tests.door import Door
from tests.performance.ingest_data import HEADER, csv_of, piece

_ROWS = 250_000
_DIGITS = 9


class Stored:
    """A file on this machine."""

    def __init__(self, path: Path) -> None:
        self._path, self.size = path, path.stat().st_size
        self.rows = int(duckdb.sql(f"SELECT count(*) FROM read_parquet('{path}')").fetchall()[0][0])

    def part(self, first: int, end: int) -> bytes:
        """Bytes `first` to `end` (not included)."""
        with self._path.open("rb") as file:
            file.seek(first)
            return file.read(end - first)


class Made:
    """A CSV file: one piece of rows over and over, each time with other ids of nine digits."""

    def __init__(self, size: int) -> None:
        columns = piece(7, 0, _ROWS)
        columns["id"] = columns["id"] + 90_000_000
        self._body = np.frombuffer(csv_of(columns), dtype=np.uint8).copy()
        self._ids = np.asarray(columns["id"], dtype=np.int64)
        ends = np.flatnonzero(self._body == ord("\n"))
        self._places = np.concatenate(([0], ends[:-1] + 1))
        times = max(1, round((size - len(HEADER)) / len(self._body)))
        self.size, self.rows = len(HEADER) + times * len(self._body), times * _ROWS

    def part(self, first: int, end: int) -> bytes:
        """Bytes `first` to `end` (not included)."""
        out = HEADER[first:end]
        position = max(first, len(HEADER))
        while position < end:
            time_, within = divmod(position - len(HEADER), len(self._body))
            numbers = self._ids + time_ * _ROWS
            for digit in range(_DIGITS):
                self._body[self._places + _DIGITS - 1 - digit] = numbers // 10**digit % 10 + ord("0")
            wanted = self._body[within : within + end - position].tobytes()
            out += wanted
            position += len(wanted)
        return out


def serve(what: str, told: Connection) -> None:
    """Answer ranges of the file, one after the other."""
    file = Stored(Path(what)) if Path(what).is_file() else Made(int(float(what) * 1e9))

    class Ranges(Door):
        def answer(self) -> None:
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            self.say(206, file.part(first, last + 1))

    server = http.server.HTTPServer(("127.0.0.1", 0), Ranges)
    told.send((server.server_port, file.size, file.rows))
    server.serve_forever()


class Watched:
    """The largest use of a folder, looked at all the time."""

    def __init__(self, folder: Path) -> None:
        self.most, self._folder, self._ended = 0, folder, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.05):
            with contextlib.suppress(FileNotFoundError):
                self.most = max(self.most, sum(path.stat().st_blocks * 512 for path in self._folder.rglob("*")))

    def end(self) -> int:
        """Bytes."""
        self._ended.set()
        self._thread.join()
        return self.most


def judge_it(port: int, size: int) -> None:
    """The process whose memory counts."""
    from ingest.engine import judge
    from interlock.aws.ranges import RangedObject
    from tests.performance.ingest_model import MODEL

    def fetch(first: int, end: int) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/", headers={"Range": f"bytes={first}-{end - 1}"})
        body = connection.getresponse().read()
        connection.close()
        return body

    with (
        tempfile.TemporaryDirectory() as scratch,
        RangedObject(fetch, "local", "large", "1", size) as upload,
    ):
        watched = Watched(Path(scratch))
        found = judge(upload, MODEL, Path(scratch), memory_mb=512, admit="--admit" in sys.argv)
        scratch_mb = round(watched.end() / 1e6)
        written = round(sum(path.stat().st_size for path in found.files.values()) / 1e6)
    told = {"rows": found.rows, "bad_rows": found.bad_rows, "train_rows": found.train_rows}
    print(json.dumps(told | {"scratch_mb": scratch_mb, "of_it_answer_mb": written}))


def main() -> None:
    """Run server and engine, each in a process of its own."""
    mine, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(sys.argv[1] if sys.argv[1:] else "10", theirs), daemon=True)
    server.start()
    port, size, rows = mine.recv()
    began = time.perf_counter()
    paths = os.pathsep.join([".", "functions", "layers/core"])
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, "judge", str(port), str(size), *sys.argv[2:]],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    answer = json.loads(process.stdout.read())
    _, status, used = os.wait4(process.pid, 0)
    server.terminate()
    if os.waitstatus_to_exitcode(status) or answer["rows"] != rows:
        raise SystemExit(f"{answer} instead of {rows} rows")
    cpu = used.ru_utime + used.ru_stime
    print(f"{size / 1e9:.2f} GB: {time.perf_counter() - began:.0f} s, {cpu:.0f} s of the processors")
    print(json.dumps(answer | {"peak_mb": round(used.ru_maxrss / 1024)}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["judge"]:
        judge_it(int(sys.argv[2]), int(sys.argv[3]))
    else:
        main()
