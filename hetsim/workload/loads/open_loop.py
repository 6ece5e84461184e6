"""One workload kind per arrival process: who arrives when does not depend on the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from hetsim.spec import kinds, lookup, spec
from hetsim.workload._streams import stream
from hetsim.workload._table import RequestTable
from hetsim.workload._transform import warm_up
from hetsim.workload._types import Count, Seconds
from hetsim.workload._workload import Workload
from hetsim.workload.arrivals import ArrivalLaw
from hetsim.workload.lengths import LengthLaw, Lengths

__all__ = ["draw_lengths", "open_table"]

T = TypeVar("T")


def draw_lengths(law: LengthLaw, role: str, count: int, seed: int, base_dir: Path) -> Any:
    """Return the lengths of requests 0 to ``count``; request i's is the same for every count."""
    u = stream(seed, f"lengths.{role}").random(count)
    return law.resolve(base_dir).quantile(u)


def open_table(
    arrivals: ArrivalLaw,
    count: int,
    lengths: tuple[LengthLaw, LengthLaw],
    seed: int,
    base_dir: Path,
) -> RequestTable:
    """Return ``count`` requests of an arrival process with independent input and output lengths."""
    return RequestTable(
        arrivals.times(count, seed),
        draw_lengths(lengths[0], "input", count, seed, base_dir),
        draw_lengths(lengths[1], "output", count, seed, base_dir),
        source=f"{getattr(arrivals, 'kind', 'made')} arrivals, seed {seed}",
    )


def _with_lengths(arrivals: Any, kind: str) -> Any:
    class Load(arrivals):  # type: ignore[misc]  # the base is known at run time only
        requests: Count
        """How many requests in all."""
        input: Lengths
        """Prompt lengths, in tokens."""
        output: Lengths
        """Answer lengths, in tokens."""
        warmup: Seconds = 0.0
        """Requests that arrive earlier are simulated, but not measured."""

        def build(self, seed: int, base_dir: Path) -> Workload:
            table = open_table(self, self.requests, (self.input, self.output), seed, base_dir)
            return Workload(kind, table=warm_up(table, self.warmup) if self.warmup else table)

    Load.__name__ = Load.__qualname__ = f"{arrivals.__name__}Load"
    Load.written_as = "Load"  # where the lines under its fields are to be found
    Load.__doc__ = f"{arrivals.__doc__}\n\nWith lengths: a whole workload."
    return spec(kind=kind, family="workload")(Load)


LOADS = {kind: _with_lengths(lookup("arrivals", kind), kind) for kind in kinds("arrivals")}
"""The workload of each arrival process: its fields and ``requests, input, output, warmup``."""
