"""Replay of a trace file, as it is or with parts of it replaced."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec
from hetsim.workload._table import RequestTable
from hetsim.workload._transform import limit, scale_rate, warm_up, window
from hetsim.workload._types import Count, Positive, Seconds, refuse
from hetsim.workload._workload import Workload
from hetsim.workload.arrivals import Arrivals
from hetsim.workload.lengths import Lengths
from hetsim.workload.loads.open_loop import draw_lengths
from hetsim.workload.readers import ReadOptions, detect_format, read_trace

__all__ = ["Trace", "Window"]


@spec
class Window:
    """A span of a trace, in trace time."""

    start: Seconds
    """Time in the trace from which requests are taken."""
    end: Seconds
    """Time in the trace before which they are taken."""

    def __post_init__(self) -> None:
        refuse((self.end <= self.start, f"end ({self.end:g} s) must come after start"))


@spec(kind="trace", family="workload")
class Trace:
    """The requests of the file or folder at ``path``.

    In this order: ``window`` cuts in trace time, ``limit`` keeps the first requests, ``arrivals``
    and ``output`` replace what the file states or lacks, ``rate_scale`` divides all times,
    ``warmup`` leaves the first simulated seconds out of the measurement. ``time_unit`` and
    ``columns`` are for generic files whose column names do not tell.
    """

    kind: Literal["trace"] = "trace"
    path: str
    """A trace file or folder, relative to the scenario."""
    format: str | None = None
    """What the file is written in; left out: recognised from the content."""
    time_unit: Literal["s", "ms", "us", "ns"] | None = None
    """Unit of the time column of a generic file; left out: from its name."""
    columns: Mapping[Literal["arrival", "isl", "osl", "session", "hashes"], str] | None = None
    """Names of the columns of a generic file, by what they hold; left out: from their names."""
    window: Window | None = None
    """Take this span only; left out: all of it."""
    limit: Count | None = None
    """Take the first so many requests; left out: all."""
    arrivals: Arrivals | None = None
    """Arrivals in place of those of the file."""
    output: Lengths | None = None
    """Answer lengths in place of those of the file."""
    rate_scale: Positive = 1.0
    """How much faster than recorded the requests come."""
    warmup: Seconds = 0.0
    """Requests that arrive earlier are simulated, but not measured."""

    def build(self, seed: int, base_dir: Path) -> Workload:
        """Return the replay.

        Raises
        ------
        ScenarioError
            If the file cannot be read, or lacks arrivals or outputs that are not supplied here.
        """
        table = self._replaced(self._read(base_dir, seed), seed, base_dir)
        _refuse_lacking(table)
        table = _with_work(table)
        table = scale_rate(table, self.rate_scale)
        return Workload("trace", table=warm_up(table, self.warmup) if self.warmup else table)

    def _read(self, base_dir: Path, seed: int) -> RequestTable:
        span = None if self.window is None else (self.window.start, self.window.end)
        options = ReadOptions(
            self.time_unit,
            {str(role): name for role, name in (self.columns or {}).items()},
            seed,
            span,
        )
        path = base_dir / self.path
        format = self.format or detect_format(path)
        if span is None or format == "servegen":  # ServeGen samples no more than it is asked for
            return read_trace(path, format, self.limit, options)
        table = window(read_trace(path, format, None, options), *span)
        return table if self.limit is None else limit(table, self.limit)

    def _replaced(self, table: RequestTable, seed: int, base_dir: Path) -> RequestTable:
        lacks = set(table.lacks)
        if self.arrivals is not None:
            table = table.replace(arrival_s=self.arrivals.times(len(table), seed))
            lacks.discard("arrivals")
        if self.output is not None:
            outputs = draw_lengths(self.output, "output", len(table), seed, base_dir)
            table = table.replace(osl=np.asarray(outputs))
            lacks.discard("outputs")
        return table.replace(lacks=sorted(lacks))


def _with_work(table: RequestTable) -> RequestTable:
    """Return the rows that hold input tokens; how many others there were goes to the notes."""
    if not table.empty_inputs:
        return table
    full = table.select(np.flatnonzero(table.isl)).replace(empty_inputs=False)
    if not len(full):
        raise ScenarioError(Problem("no row holds input tokens", "", table.source))
    note = f"{table.zero_inputs} rows without input tokens left out"
    return full.replace(notes=(*full.notes, note)) if table.zero_inputs else full


_REMEDY = {
    "arrivals": "arrivals: {kind: poisson, rate: 2 req/s}",
    "outputs": "output: {kind: fixed, tokens: 200}",
}


def _refuse_lacking(table: RequestTable) -> None:
    if table.lacks:
        raise ScenarioError(
            [
                Problem(f"the file states no {word}; add '{_REMEDY[word]}'", "", table.source)
                for word in table.lacks
            ]
        )
