"""What Lambda would bill a call, by AWS's own runtime emulator: a whole processor, one environment, calls in turn."""

from __future__ import annotations

import re
import statistics
import tempfile
from pathlib import Path

from tests.performance import emulator, served

# Rows a call, and how many calls.
_CALLS = {1: 1000, 1000: 100}
_REPORT = re.compile(rb"\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms")


def measured(made: served.Made) -> dict[str, float]:
    """Print what the emulator reports; answers the mean of the billed milliseconds."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        emulator.unpacked(folder)
        cloud = emulator.Cloud(made)
        variables = emulator.environment(folder, cloud, write=True)
        output = folder / "stdout"
        with output.open("wb") as file, emulator.running(variables, emulator.HANDLER, file, log="info") as connection:
            for rows, calls in _CALLS.items():
                event = served.event(served.request(made.frame.iloc[:rows]))
                for _ in range(calls):
                    assert emulator.invoke(connection, event)["statusCode"] == 200
        cloud.server.shutdown()
        reports = [(float(took), int(billed)) for took, billed in _REPORT.findall(output.read_bytes())]
    # The first call opened the model.
    of_rows = {1: reports[1 : _CALLS[1]], 1000: reports[_CALLS[1] :]}
    print("\nreported by AWS's runtime emulator, ms a call on a whole processor")
    found = {}
    for rows, told in of_rows.items():
        assert abs(len(told) - _CALLS[rows]) <= 1, len(told)
        billed = statistics.mean(billed for _, billed in told)
        print(f"  {rows:5} rows: took {statistics.median(took for took, _ in told):6.2f}, billed {billed:6.2f}")
        found[f"billed_ms_{rows}"] = round(billed, 2)
    return found
