"""The same tasks on a Ray cluster.

joblib's Ray backend hands results over only when all are done, so that an interruption would lose
finished points; the two calls below take each as it comes. A task whose worker dies is run again by
Ray itself, and fails as a point when that happens every time.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from hetsim.errors import HetsimError, Problem, ScenarioError
from hetsim.sweep._points import Task

__all__ = ["RayCluster", "is_ray"]

_SCHEME = "ray:"
_DEATHS = 2


def is_ray(address: str) -> bool:
    """Say whether a cluster address means Ray.

    >>> is_ray("ray://head:10001"), is_ray("ray:10.0.0.1:6379"), is_ray("tcp://10.0.0.1:8786")
    (True, True, False)
    """
    return address.startswith(_SCHEME)


def _knock(address: str) -> None:
    """Raise at once where nobody listens: Ray itself would try for minutes, and then end us."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host, int(port)), timeout=5.0).close()


class RayCluster:
    """Connected to ``ray://HOST:PORT`` (a client) or ``ray:HOST:PORT`` (a node of the cluster)."""

    def __init__(self, address: str) -> None:
        try:
            import ray
        except ImportError:
            raise HetsimError(
                f"--cluster {address} needs the extra 'ray': pip install 'hetsim[ray]'"
            ) from None
        self._ray: Any = ray
        target = address if address.startswith("ray://") else address.removeprefix(_SCHEME)
        try:
            _knock(target.removeprefix("ray://"))
            ray.init(address=target, log_to_driver=False, ignore_reinit_error=True)
        except (OSError, RuntimeError, ValueError) as error:
            raise ScenarioError(
                Problem(f"no Ray cluster answers ({error}); start one with 'ray start'", address)
            ) from None

    def run(
        self, tasks: Iterable[Task], work: Callable[..., Any]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield ``(key, row)`` of every task as it is finished, two waiting per core."""
        ray = self._ray
        remote = ray.remote(num_cpus=1, max_retries=_DEATHS)(work)
        room = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        running: dict[Any, str] = {}
        for task in tasks:
            running[remote.remote(task.key, task.text, None)] = task.key
            while len(running) >= room:
                yield from self._some(running)
        while running:
            yield from self._some(running)

    def _some(self, running: dict[Any, str]) -> Iterator[tuple[str, dict[str, Any]]]:
        ready, _ = self._ray.wait(list(running))
        for reference in ready:
            key = running.pop(reference)
            try:
                yield self._ray.get(reference)
            except (self._ray.exceptions.WorkerCrashedError, self._ray.exceptions.OutOfMemoryError):
                yield key, {"status": "failed", "reason": "its worker died every time"}

    def close(self) -> None:
        """Disconnect; the cluster stays."""
        self._ray.shutdown()
