"""The same sweep on a Dask cluster of processes, a worker killed in the middle included."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hetsim.errors import HetsimError
from hetsim.sweep import load_sweep, sweep
from hetsim.sweep._journal import Journal

pytestmark = [
    pytest.mark.slow,
    # Dask's own sockets and loops are collected when they are; that is not ours to hold.
    pytest.mark.filterwarnings("ignore"),
]

SWEEP = """
name: cluster
base: queue_mmc
axes:
  - {name: instances, path: pools.serve.instances, levels: [1, 2, 3, 4]}
  - {name: slots, path: pools.serve.max_seqs, levels: [1, 2, 4]}
  - {name: requests, path: workload.requests, levels: [2000], role: decision}
replications: {seeds: [1, 2]}
screen: {keep: all}
"""


@pytest.fixture
def cluster() -> Any:
    distributed = pytest.importorskip("distributed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        )
        yield made
        made.close(timeout=10)


def test_a_cluster_gives_the_same_points_though_a_worker_dies(cluster: Any, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SWEEP)
    made = load_sweep(path)
    local = sweep(made, workers=1)
    victims: list[int] = []

    def kill_one() -> None:
        journal = tmp_path / "out" / "journal.jsonl"
        while not (journal.exists() and journal.read_bytes().count(b"\n") >= 3):
            time.sleep(0.01)
        victims.append(next(iter(cluster.workers.values())).process.process.pid)
        os.kill(victims[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    remote = sweep(made, cluster=cluster.scheduler_address, out=tmp_path / "out")
    killer.join(10)
    assert victims
    pd.testing.assert_frame_equal(local.points, remote.points, check_exact=True)
    kept = (tmp_path / "out" / "journal.jsonl").read_bytes().splitlines()
    assert len(kept) == len(Journal(tmp_path / "out" / "journal.jsonl").rows) == 24


def test_a_scheduler_that_does_not_answer_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    made = distributed.Client
    impatient = lambda address, timeout: made(address, timeout=timeout / 10)  # noqa: E731
    monkeypatch.setattr(distributed, "Client", impatient)
    with pytest.raises(HetsimError, match="no Dask scheduler answers"):
        sweep("first_sweep", cluster="tcp://127.0.0.1:9")


@pytest.fixture
def ray_address() -> Any:
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield f"ray:{made.address}"
    ray.shutdown()
    made.shutdown()


def test_a_ray_cluster_gives_the_same_points(ray_address: str, tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SWEEP)
    made = load_sweep(path)
    local = sweep(made, workers=1)
    remote = sweep(made, cluster=ray_address, out=tmp_path / "out")
    pd.testing.assert_frame_equal(local.points, remote.points, check_exact=True)


def test_ray_that_is_not_installed_or_silent_is_said_so() -> None:
    with pytest.raises(HetsimError, match=r"hetsim\[ray\]|no Ray cluster answers"):
        sweep("first_sweep", cluster="ray:127.0.0.1:9")
