"""Many simulations at once: here, in processes, on a cluster. Only the caller publishes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hetsim.errors import HetsimError, Problem, ScenarioError
from hetsim.sweep._points import Task, run_task
from hetsim.sweep._ray import RayCluster, is_ray

__all__ = ["Workers", "usable_cores"]

Outcome = tuple[str, dict[str, Any]]
_WATCH_S = 1.0
_TRIES = 2
"""Deaths of a worker that a point may be near before it counts as the cause."""


def usable_cores() -> int:
    """Return the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """Runs tasks and yields their rows as they come, in no promised order.

    ``workers`` processes on this machine (1: this process itself), or the Dask (``tcp://...``) or
    Ray (``ray:...``) cluster at ``cluster``. A worker that dies takes no finished point with it:
    what was under way is run again, and a point whose worker dies every time is failed.
    """

    def __init__(self, workers: int, cluster: str | None = None) -> None:
        self.workers = workers
        self.cluster = cluster
        self._ray = RayCluster(cluster) if cluster is not None and is_ray(cluster) else None
        dask = cluster is not None and self._ray is None
        self._client = _connect(cluster) if cluster is not None and dask else None

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Yield ``(key, row)`` of every task."""
        if self._ray is not None:
            yield from self._ray.run(tasks, _work)
            return
        if self._client is None and self.workers == 1:
            for task in tasks:
                yield task.key, _timed(task)
            return
        left: dict[str, Task] = {}
        coming, deaths = iter(tasks), 0
        while True:
            try:
                for key, row in self._parallel(_noted(coming, left)):
                    del left[key]
                    yield key, row
                return
            except Exception as error:
                if not _is_death(error):
                    raise
                deaths += 1
                if deaths >= _TRIES:
                    yield from self._one_by_one(left)
                    deaths = 0

    def _one_by_one(self, left: dict[str, Task]) -> Iterator[Outcome]:
        """Run what is left alone, so that a worker's death tells which point was the cause."""
        for key, task in list(left.items()):
            del left[key]
            try:
                yield from self._parallel([task, _nothing(key)])
            except Exception as error:
                if not _is_death(error):
                    raise
                yield (
                    key,
                    {"status": "failed", "reason": "its worker process died (out of memory?)"},
                )

    def _parallel(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        from joblib import Parallel, delayed, parallel_config

        call: Callable[..., Any] = delayed(_work)
        watched = None if self._client is not None else os.getpid()
        backend = "dask" if self._client is not None else "loky"
        n_jobs = -1 if self._client is not None else self.workers
        with parallel_config(backend=backend, n_jobs=n_jobs):
            pool = Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="2*n_jobs")
            for key, row in pool(call(task.key, task.text, watched) for task in tasks):
                if row is not None:
                    yield key, row

    def close(self) -> None:
        """Let the workers go."""
        if self._ray is not None:
            self._ray.close()
            self._ray = None
        if self._client is not None:
            self._client.close()
            self._client = None
        elif self.cluster is None and self.workers > 1:
            from joblib.externals.loky import get_reusable_executor

            get_reusable_executor(max_workers=self.workers).shutdown(wait=True, kill_workers=True)


def _noted(coming: Iterator[Task], left: dict[str, Task]) -> Iterator[Task]:
    """Yield what is left over, then what is coming: made while workers are busy, and noted."""
    yield from list(left.values())
    for task in coming:
        left[task.key] = task
        yield task


def _nothing(key: str) -> Task:
    """Return a task of no work: a single task would run in this very process."""
    return Task(key, "")


def _work(key: str, text: str, parent: int | None) -> tuple[str, dict[str, Any] | None]:
    """Run a task in a worker process that ends soon after its parent."""
    if parent is not None:
        _watch(parent)
    return (key, _timed(Task(key, text))) if text else (key, None)


def _timed(task: Task) -> dict[str, Any]:
    started = time.perf_counter()
    row = run_task(task)
    row["wall_s"] = time.perf_counter() - started
    return row


_watching: set[int] = set()


def _watch(parent: int) -> None:
    """End this process within seconds of its parent, once for each parent."""
    if parent in _watching or os.getpid() == parent:
        return
    _watching.add(parent)
    threading.Thread(target=_outlive, args=(parent,), daemon=True).start()


def _outlive(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_S)
    os._exit(1)


def _is_death(error: Exception) -> bool:
    """Say whether a worker has died, rather than something been wrong with the call."""
    from concurrent.futures import CancelledError
    from concurrent.futures.process import BrokenProcessPool

    if isinstance(error, (BrokenProcessPool, CancelledError)):
        return True
    return type(error).__name__ in ("KilledWorker", "FutureCancelledError", "TerminatedWorkerError")


def _connect(address: str) -> Any:
    try:
        import distributed
    except ImportError:
        raise HetsimError(
            "--cluster needs the extra 'cluster': pip install 'hetsim[cluster]'"
        ) from None
    try:
        connect: Any = distributed.Client
        return connect(address, timeout=10)
    except (OSError, ValueError) as error:
        raise ScenarioError(
            Problem(
                f"no Dask scheduler answers ({error}); start one with 'dask scheduler'", address
            )
        ) from None
