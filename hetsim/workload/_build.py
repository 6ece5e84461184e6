"""From a scenario's ``workload:`` to requests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hetsim.errors import ScenarioError
from hetsim.workload._workload import Workload
from hetsim.workload.loads import AnyWorkload

__all__ = ["build_workload", "workload_spec"]


def workload_spec(data: Mapping[str, Any], file: str = "") -> Any:
    """Return the checked spec of plain data, as a scenario would hold it under ``workload``.

    Raises
    ------
    ScenarioError
        With every problem.
    """
    from hetsim.spec._check import build

    return build(AnyWorkload, dict(data), None, file)


def build_workload(spec: Any, seed: int, base_dir: str | Path = ".") -> Workload:
    """Return the workload that ``spec`` describes; paths in it are relative to ``base_dir``.

    Raises
    ------
    ScenarioError
        If a trace cannot be read, or nothing is left of it.

    >>> load = workload_spec({"kind": "poisson", "rate": "2 req/s", "requests": 3,
    ...     "input": {"kind": "fixed", "tokens": 100}, "output": {"kind": "fixed", "tokens": 5}})
    >>> build_workload(load, seed=7).table.isl.tolist()
    [100, 100, 100]
    """
    if seed < 0:
        raise ScenarioError(f"seed must be 0 or more, not {seed}")
    made: Workload = spec.build(seed, Path(base_dir))
    return made
