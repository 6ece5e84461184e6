"""Workload kinds, one file each: what a scenario's ``workload:`` may be.

Every kind is a spec with ``build(seed, base_dir) -> Workload``. ``open_loop.py`` makes one of each
arrival process; ``trace.py`` replays a file; ``closed_loop.py`` has the users that the benchmark
clients are made of. A new kind is one file and a name below.
"""

from __future__ import annotations

from typing import Any

from hetsim.spec._check import tagged
from hetsim.workload.loads import (
    closed_loop,
    genai_perf,
    inferencex,
    mlperf,
    open_loop,
    regime,
    sessions,
    trace,
    vllm_bench,
)

__all__ = [
    "AnyWorkload",
    "closed_loop",
    "genai_perf",
    "inferencex",
    "mlperf",
    "open_loop",
    "regime",
    "sessions",
    "trace",
    "vllm_bench",
]

AnyWorkload: Any = tagged("workload")
"""The union of all workload kinds, told apart by ``kind``."""
