"""The serving benchmark client of vLLM, which SGLang's follows."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from hetsim.spec import spec
from hetsim.workload._types import Count, Positive, RequestsPerSecond, refuse
from hetsim.workload._workload import Workload
from hetsim.workload.arrivals.all_at_once import AllAtOnce
from hetsim.workload.arrivals.gamma import Gamma
from hetsim.workload.arrivals.poisson import Poisson
from hetsim.workload.lengths import Lengths
from hetsim.workload.loads.closed_loop import KeyedLoop
from hetsim.workload.loads.open_loop import open_table

__all__ = ["VllmBench"]


class Stretched(NamedTuple):
    """Arrivals of another law, stretched until ``count`` of them take count / rate.

    >>> law = Stretched(Poisson(rate=4.0), 4.0)
    >>> round(float(law.times(10, seed=3)[-1]), 12)
    2.5
    """

    law: Poisson | Gamma
    rate: float

    @property
    def kind(self) -> str:
        """Name of the law that is stretched."""
        return f"stretched {self.law.kind}"

    def times(self, count: int, seed: int) -> npt.NDArray[np.float64]:
        """Return the arrival times in s; order and relative gaps are those of the law."""
        times = self.law.times(count, seed)
        stretched: npt.NDArray[np.float64] = times * (count / (self.rate * times[-1]))
        return stretched


@spec(kind="vllm_bench", family="workload")
class VllmBench:
    """``requests`` prompts at ``rate``; without a rate all at once, as ``--request-rate inf``.

    ``burstiness`` is the gamma shape of the gaps (1 is Poisson, below 1 bursty; CV is
    burstiness^-1/2). All gaps are then stretched by one factor, so that the last request is sent
    at exactly ``requests / rate``: what the client does, lest its throughput depend on the draw.
    ``max_concurrency`` without a rate makes it a closed loop.
    Source: vLLM ``bench serve``, options ``--request-rate``, ``--burstiness``,
    ``--max-concurrency``, and its ``get_request`` (``normalize_factor``), 0.10 on.
    """

    kind: Literal["vllm_bench"] = "vllm_bench"
    requests: Count
    """How many requests in all."""
    input: Lengths
    """Prompt lengths, in tokens."""
    output: Lengths
    """Answer lengths, in tokens."""
    rate: RequestsPerSecond | None = None
    """Mean arrivals per second; left out: all at once, or as ``max_concurrency`` lets them."""
    burstiness: Positive = 1.0
    """Shape of the gamma distributed gaps; 1 is a Poisson process, below 1 bursty."""
    max_concurrency: Count | None = None
    """Most requests in flight; left out: no limit."""

    def __post_init__(self) -> None:
        both = self.rate is not None and self.max_concurrency is not None
        refuse(
            (both, "a rate together with max_concurrency is not modelled; state one of them"),
            (not 2e-3 <= self.burstiness <= 1e4, "burstiness must lie between 0.002 and 10000"),
        )

    def build(self, seed: int, base_dir: Path) -> Workload:
        """Return the table, or the loop if there is a limit on concurrency."""
        laws = (self.input, self.output)
        if self.max_concurrency is not None:
            ready = (self.input.resolve(base_dir), self.output.resolve(base_dir))
            loop = KeyedLoop(self.max_concurrency, self.requests, ready, seed)
            return Workload("vllm_bench", loop=loop)
        table = open_table(self._arrivals(), self.requests, laws, seed, base_dir)
        return Workload("vllm_bench", table=table)

    def _arrivals(self) -> Stretched | AllAtOnce:
        if self.rate is None:
            return AllAtOnce()
        if self.burstiness == 1:
            return Stretched(Poisson(rate=self.rate), self.rate)
        return Stretched(Gamma(rate=self.rate, cv=self.burstiness**-0.5), self.rate)
