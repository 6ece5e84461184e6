"""The two scenarios of MLPerf Inference that language models are run in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hetsim.spec import spec
from hetsim.workload._types import Count, RequestsPerSecond
from hetsim.workload._workload import Workload
from hetsim.workload.arrivals.all_at_once import AllAtOnce
from hetsim.workload.arrivals.poisson import Poisson
from hetsim.workload.lengths import Lengths
from hetsim.workload.loads.open_loop import open_table

__all__ = ["MlperfOffline", "MlperfServer"]


@spec(kind="mlperf_server", family="workload")
class MlperfServer:
    """Poisson arrivals at the target rate.

    Source: MLPerf Inference rules, scenario Server.
    """

    kind: Literal["mlperf_server"] = "mlperf_server"
    rate: RequestsPerSecond
    """Mean arrivals per second."""
    requests: Count
    """How many requests in all."""
    input: Lengths
    """Prompt lengths, in tokens."""
    output: Lengths
    """Answer lengths, in tokens."""

    def build(self, seed: int, base_dir: Path) -> Workload:
        """Return the table."""
        laws, arrivals = (self.input, self.output), Poisson(rate=self.rate)
        table = open_table(arrivals, self.requests, laws, seed, base_dir)
        return Workload("mlperf_server", table=table)


@spec(kind="mlperf_offline", family="workload")
class MlperfOffline:
    """All samples in one query at the start.

    Source: MLPerf Inference rules, scenario Offline.
    """

    kind: Literal["mlperf_offline"] = "mlperf_offline"
    requests: Count
    """How many requests in all."""
    input: Lengths
    """Prompt lengths, in tokens."""
    output: Lengths
    """Answer lengths, in tokens."""

    def build(self, seed: int, base_dir: Path) -> Workload:
        """Return the table."""
        laws = (self.input, self.output)
        table = open_table(AllAtOnce(), self.requests, laws, seed, base_dir)
        return Workload("mlperf_offline", table=table)
