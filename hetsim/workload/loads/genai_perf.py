"""NVIDIA GenAI-Perf (and AIPerf) at a constant concurrency."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hetsim.spec import spec
from hetsim.workload._types import Count
from hetsim.workload._workload import Workload
from hetsim.workload.lengths import Lengths
from hetsim.workload.loads.closed_loop import KeyedLoop

__all__ = ["GenaiPerf"]


@spec(kind="genai_perf", family="workload")
class GenaiPerf:
    """``concurrency`` requests in flight at any time, without thinking, ``requests`` in all.

    Source: GenAI-Perf documentation, option ``--concurrency``.
    """

    kind: Literal["genai_perf"] = "genai_perf"
    concurrency: Count
    """Requests in flight at any time."""
    requests: Count
    """How many requests in all."""
    input: Lengths
    """Prompt lengths, in tokens."""
    output: Lengths
    """Answer lengths, in tokens."""

    def build(self, seed: int, base_dir: Path) -> Workload:
        """Return the loop."""
        laws = (self.input.resolve(base_dir), self.output.resolve(base_dir))
        return Workload("genai_perf", loop=KeyedLoop(self.concurrency, self.requests, laws, seed))
