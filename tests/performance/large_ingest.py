"""Streams a CSV file of 10 GB through ingest: `python -m tests.performance.large_ingest [GB]`.

A server in another process makes the file while it is read, in ranges, as from S3: no byte of it is stored anywhere.
Prints rows, bad rows, seconds and the largest memory of the process that judges.
"""

from __future__ import annotations

import http.client
import http.server
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from tests.performance.ingest_data import HEADER, csv_of, piece

_ROWS = 250_000
_DIGITS = 9


class Made:
    """The file: one piece of rows over and over, each time with other ids of nine digits."""

    def __init__(self, size: int) -> None:
        columns = piece(7, 0, _ROWS)
        columns["id"] = columns["id"] + 90_000_000
        self._body = np.frombuffer(csv_of(columns), dtype=np.uint8).copy()
        self._ids = np.asarray(columns["id"], dtype=np.int64)
        ends = np.flatnonzero(self._body == ord("\n"))
        self._places = np.concatenate(([0], ends[:-1] + 1))
        self.times = max(1, round((size - len(HEADER)) / len(self._body)))
        self.size = len(HEADER) + self.times * len(self._body)

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


def serve(size: int, told: Connection) -> None:
    """Answer ranges of the file, one after the other."""
    made = Made(size)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            body = made.part(first, last + 1)
            self.send_response(206)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    told.send((server.server_port, made.size, made.times * _ROWS))
    server.serve_forever()


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
        RangedObject(fetch, "local", "large.csv", "1", size) as upload,
    ):
        found = judge(upload, MODEL, Path(scratch), memory_mb=512, admit="--admit" in sys.argv)
    print(json.dumps({"rows": found.rows, "bad_rows": found.bad_rows, "train_rows": found.train_rows}))


def main() -> None:
    """Run server and engine, each in a process of its own."""
    size = int(float(sys.argv[1]) * 1e9) if len(sys.argv) > 1 else 10_000_000_000
    mine, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(size, theirs), daemon=True)
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
