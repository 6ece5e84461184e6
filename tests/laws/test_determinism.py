"""L6: one seed, one set of tables: byte-identical across processes, folders and hash seeds."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

TABLES = ("requests", "steps", "transfers", "ownership", "occupancy")


def digests(folder: Path, *, hash_seed: str, seed: int | None = None) -> dict[str, str]:
    out = folder / "run"
    command = [sys.executable, "-m", "hetsim", "run", "quickstart", "--out", str(out)]
    command += ["--set", "workload.requests=300"]
    if seed is not None:
        command += ["--seed", str(seed)]
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True, timeout=120)
    return {
        name: hashlib.sha256((out / f"{name}.parquet").read_bytes()).hexdigest() for name in TABLES
    }


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return digests(tmp_path_factory.mktemp("a"), hash_seed="0")


@pytest.mark.slow
def test_equal_runs_write_equal_bytes_whatever_the_process_folder_and_hash_seed(
    first: dict[str, str], tmp_path: Path
):
    (tmp_path / "b c").mkdir()
    assert digests(tmp_path / "b c", hash_seed="12345") == first


@pytest.mark.slow
def test_another_seed_changes_the_tables(first: dict[str, str], tmp_path: Path):
    other = digests(tmp_path, hash_seed="0", seed=2)
    assert all(first[name] != other[name] for name in ("requests", "steps", "transfers"))
