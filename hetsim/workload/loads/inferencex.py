"""The client of the InferenceX benchmark."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from hetsim.spec import spec
from hetsim.workload._types import Count, Tokens
from hetsim.workload._workload import Workload
from hetsim.workload.lengths.uniform import Uniform
from hetsim.workload.loads.closed_loop import KeyedLoop

__all__ = ["InferenceX"]

_PROMPTS_PER_USER = 10
_SHORTEST = 0.8


@spec(kind="inferencex", family="workload")
class InferenceX:
    """``concurrency`` prompts at once, then one for each that ends, 10 x ``concurrency`` in all.

    Lengths are uniform on 80 to 100 % of the nominal ``input`` and ``output`` tokens.
    Source: SemiAnalysisAI/InferenceX benchmark scripts (``--num-prompts`` of ten times the
    concurrency, infinite rate, random range ratio 0.8), read 2026-11.
    """

    kind: Literal["inferencex"] = "inferencex"
    concurrency: Count
    """Requests in flight at any time."""
    input: Tokens
    """Nominal prompt length, in tokens."""
    output: Tokens
    """Nominal answer length, in tokens."""
    requests: Count | None = None
    """10 x concurrency, as the benchmark has it, unless stated."""

    def build(self, seed: int, base_dir: Path) -> Workload:
        """Return the loop."""
        requests = self.requests or _PROMPTS_PER_USER * self.concurrency
        laws = (_spread(self.input), _spread(self.output))
        return Workload("inferencex", loop=KeyedLoop(self.concurrency, requests, laws, seed))


def _spread(tokens: int) -> Uniform:
    return Uniform(min=max(1, math.floor(_SHORTEST * tokens)), max=tokens)
