"""Kills, full disks, dead workers: no finished point is lost, none is simulated twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hetsim.sweep import load_sweep_result
from hetsim.sweep._journal import Journal

SWEEP = """
name: killed
base:
  name: constant
  model: llama-3.1-8b
  workload:
    kind: poisson
    rate: 40 req/s
    requests: {requests}
    input: {{kind: lognormal, mean: 100, cv: 0.8}}
    output: {{kind: lognormal, mean: 20, cv: 0.8}}
  pools:
    serve:
      role: both
      accelerator: h100
      instances: 1
      parallel: {{tp: 1}}
      precision: {{weights: bf16, compute: bf16, kv: bf16}}
      runtime: ideal
      max_seqs: 8
      estimator: {{kind: constant, prefill: 20 ms, decode_step: 10 ms, blocks: 2000}}
  slo: {{ttft: 1 s, tpot: 30 ms}}
axes:
  - {{name: instances, path: pools.serve.instances, levels: [1, 2, 3, 4]}}
  - {{name: slots, path: pools.serve.max_seqs, levels: [1, 4, 16]}}
replications: {{seeds: [1, 2]}}
screen: {{keep: winner, round: 4}}
"""

RUN = """
import sys
from hetsim.cli import invoke
sys.exit(invoke(["sweep", *sys.argv[1:]]))
"""


def write(folder: Path, requests: int = 600) -> Path:
    path = folder / "killed.yaml"
    path.write_text(SWEEP.format(requests=requests))
    return path


def command(path: Path, out: Path, workers: int) -> list[str]:
    return [sys.executable, "-c", RUN, str(path), "--out", str(out), "--workers", str(workers)]


def start(path: Path, out: Path, workers: int, **more: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command(path, out, workers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        **more,
    )


def lines(out: Path) -> int:
    journal = out / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.005)
    return False


def kill_while_running(path: Path, out: Path, workers: int, more: int, delay_s: float) -> bool:
    """Kill a sweep after ``more`` further points; False if it ended before."""
    before = lines(out)
    process = start(path, out, workers)
    wait_for(lambda: lines(out) >= before + more or process.poll() is not None)
    time.sleep(delay_s)
    running = process.poll() is None
    process.kill()
    process.communicate()
    return running


def check_whole(path: Path, out: Path, undisturbed: Path) -> None:
    """Hold a resumed sweep against an undisturbed one: same table, each point simulated once."""
    subprocess.run(command(path, out, 1), check=True, capture_output=True)
    resumed, whole = load_sweep_result(out).points, load_sweep_result(undisturbed).points
    pd.testing.assert_frame_equal(resumed, whole, check_exact=True)
    assert (out / "points.parquet").read_bytes() == (undisturbed / "points.parquet").read_bytes()
    kept = (out / "journal.jsonl").read_bytes().splitlines()
    keys = [json.loads(line[9:])["key"] for line in kept]
    assert sorted(keys) == sorted(set(keys))
    assert set(keys) == set(Journal(undisturbed / "journal.jsonl").rows)


@pytest.mark.slow
def test_three_kills_lose_and_repeat_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, requests=2000)
    subprocess.run(command(path, tmp_path / "whole", 1), check=True, capture_output=True)
    kills = [kill_while_running(path, tmp_path / "out", 1, more, 0.01) for more in (1, 3, 2)]
    assert all(kills)
    assert 6 <= lines(tmp_path / "out") < lines(tmp_path / "whole")
    check_whole(path, tmp_path / "out", tmp_path / "whole")


@pytest.mark.nightly
def test_twenty_kills_at_random_moments(tmp_path: Path) -> None:
    path = write(tmp_path, requests=1500)
    subprocess.run(command(path, tmp_path / "whole", 1), check=True, capture_output=True)
    draw, kills = random.Random(7), 0
    for attempt in range(40):
        if kills == 20:
            break
        out = tmp_path / f"out{attempt // 5}"  # five kills a directory, then a fresh one
        more = draw.choice([0, 0, 1, 1, 2])
        delay = draw.uniform(0.0, 3.0) if more == 0 else draw.uniform(0.0, 0.2)
        kills += kill_while_running(path, out, draw.choice([1, 2]), more, delay)
    assert kills == 20
    for number in range(8):
        out = tmp_path / f"out{number}"
        if (out / "journal.jsonl").exists() or out.exists():
            check_whole(path, out, tmp_path / "whole")


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_workers_end_within_five_seconds_of_their_parent(tmp_path: Path) -> None:
    path, out = write(tmp_path, requests=20_000), tmp_path / "out"
    process = start(path, out, 2)
    try:
        # Two workers, and perhaps the tracker of their resources.
        assert wait_for(lambda: len(children_of(process.pid)) >= 2 and lines(out) >= 1)
        workers = children_of(process.pid)
    finally:
        process.kill()
        process.communicate()
    at_kill = lines(out)
    assert wait_for(lambda: not any(alive(pid) for pid in workers), 5.0)
    assert lines(out) == at_kill, "a worker published after its parent's death"


@pytest.mark.slow
def test_a_worker_that_dies_takes_no_point_along(tmp_path: Path) -> None:
    path, out = write(tmp_path, requests=3000), tmp_path / "out"
    process = start(path, out, 2)
    assert wait_for(lambda: lines(out) >= 2)
    for pid in children_of(process.pid):
        if b"LokyProcess" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            break
    else:
        pytest.fail("no worker found")
    _, told = process.communicate(timeout=240)
    assert process.returncode == 0, told.decode()
    whole = tmp_path / "whole"
    subprocess.run(command(path, whole, 1), check=True, capture_output=True)
    check_whole(path, out, whole)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small sweep, and what it gives where nothing goes wrong."""
    folder = tmp_path_factory.mktemp("undisturbed")
    path = write(folder, requests=60)
    subprocess.run(command(path, folder / "whole", 1), check=True, capture_output=True)
    return path, folder / "whole"


@pytest.mark.slow
def test_a_full_disk_ends_with_a_message_and_resumes(
    undisturbed: tuple[Path, Path], tmp_path: Path
) -> None:
    import resource

    (path, whole), out = undisturbed, tmp_path / "out"
    limit = (whole / "journal.jsonl").stat().st_size // 2

    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = start(path, out, 1, preexec_fn=small)
    _, told = process.communicate()
    text = told.decode()
    assert process.returncode == 2, text
    assert "no space is left" in text and "start the same command again" in text
    assert "Traceback" not in text
    assert 0 < lines(out) < lines(whole)
    assert not (out / "points.parquet").exists()
    check_whole(path, out, whole)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB, which only the superuser may mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("no mount command here")
    if done.returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.slow
def test_a_file_system_that_is_full_ends_with_a_message_and_resumes(
    small_disk: Path, undisturbed: tuple[Path, Path]
) -> None:
    (path, whole), out = undisturbed, small_disk / "out"
    (small_disk / "ballast").write_bytes(b"x" * 44_000)
    _, told = (process := start(path, out, 1)).communicate()
    assert process.returncode == 2, told.decode()
    assert "no space is left" in told.decode() and "start the same command again" in told.decode()
    assert "Traceback" not in told.decode()
    assert 0 < lines(out) < lines(whole)
    (small_disk / "ballast").unlink()
    subprocess.run(
        ["mount", "-o", "remount,size=16m", str(small_disk)], check=True, capture_output=True
    )
    check_whole(path, out, whole)


@pytest.mark.slow
def test_an_interrupt_keeps_the_finished_points(tmp_path: Path) -> None:
    path, out = write(tmp_path, requests=3000), tmp_path / "out"
    process = start(path, out, 1)
    assert wait_for(lambda: lines(out) >= 2)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told.decode()
    assert "the same command resumes" in told.decode()
    assert lines(out) >= 2
