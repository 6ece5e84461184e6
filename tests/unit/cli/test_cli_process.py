"""The command line as a process: imports, signals, pipes."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = ("pandas", "pyarrow", "scipy", "matplotlib", "simpy", "networkx", "pydantic")
COMMAND = [sys.executable, "-c", "from hetsim.cli import main; main()"]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from hetsim.cli import invoke; assert invoke(['--help']) == 0; "
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & set(HEAVY)
    assert not loaded & {"numpy", "pint", "yaml", "rich", "plotly"}


@pytest.mark.slow
def test_help_answers_in_time() -> None:
    """0.3 s of a core; processor time, so that a busy machine does not fail it."""
    times = []
    for _ in range(10):
        before = os.times()
        subprocess.run([*COMMAND, "--help"], capture_output=True, check=True)
        after = os.times()
        spent = after.children_user + after.children_system
        times.append(spent - before.children_user - before.children_system)
    assert statistics.median(times) < 0.3


def started(tmp_path: Path, *more: str) -> subprocess.Popen[str]:
    """A run that goes on for long, caught when it has begun to write."""
    args = ["run", "quickstart", "--set", "workload.requests=400000", "--out", str(tmp_path / "r")]
    process = subprocess.Popen(
        [*COMMAND, *args, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline and process.poll() is None:
        if list(tmp_path.glob(".r.*.partial")):
            time.sleep(0.3)
            return process
        time.sleep(0.05)
    raise AssertionError(f"the run did not begin: {process.communicate()}")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, number: int, code: int) -> None:
    process = started(tmp_path)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == ""
    assert "Traceback" not in err
    if number == signal.SIGINT:
        assert "interrupted; nothing was written" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("args", [["profiles"], ["schema"], ["profiles", "--json"]])
def test_a_reader_that_goes_away_is_fine(args: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*COMMAND, *args], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_no_bar_and_no_colour_in_a_pipe() -> None:
    args = ["run", "quickstart", "--set", "workload.requests=3000"]
    done = subprocess.run([*COMMAND, *args], capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout + done.stderr
    assert done.stderr.startswith("done in ")
