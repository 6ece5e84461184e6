"""What benchmarks share: the bare timeout, and runs of the command line in their own processes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCENARIO = "scale_16p16d"

# A process of its own for every run: CPU seconds and peak memory are those of the run alone, and
# the bare timeout is timed in the same process, right before and right after.
_CHILD = """
import gc, io, json, resource, sys, time
from contextlib import redirect_stdout
import simpy

def bare(count=200_000):
    env = simpy.Environment()
    def idle():
        for _ in range(count):
            yield env.timeout(1.0)
    env.process(idle())
    started = time.process_time()
    env.run()
    return (time.process_time() - started) / count

from hetsim.cli import main
before = [bare() for _ in range(3)]
gc.collect()
started, code = time.process_time(), 0
with redirect_stdout(io.StringIO()):
    try:
        main(sys.argv[1:])
    except SystemExit as end:
        code = end.code or 0
cpu_s = time.process_time() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
after = [bare() for _ in range(2)]
print(json.dumps({"code": code, "cpu_s": cpu_s, "bare_s": min(before + after), "peak_bytes": peak}))
"""


class Bench:
    """Runs ``hetsim run`` and says what it took."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def run(self, requests: int, *sets: str) -> dict[str, Any]:
        """Simulate, all tables written; return CPU seconds, the bare timeout, peak memory."""
        self.count += 1
        command = ["run", SCENARIO, "--out", str(self.folder / f"run{self.count}")]
        for item in (f"workload.requests={requests}", "limits.memory=64 GB", *sets):
            command += ["--set", item]
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert found["code"] == 0, done.stderr
        return found

    def timeouts(self, *sets: str, few: int = 5_000, many: int = 25_000) -> float:
        """Return the cost of one more request, in bare timeouts: what starts a run cancels."""
        small, large = self.run(few, *sets), self.run(many, *sets)
        bare_s = min(small["bare_s"], large["bare_s"])
        return float((large["cpu_s"] - small["cpu_s"]) / (many - few) / bare_s)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Return the runner; its run directories are thrown away with the test's folder."""
    return Bench(tmp_path)
