"""Lengths drawn from a list of observed ones."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec
from hetsim.workload._types import Tokens, refuse

__all__ = ["Empirical"]


@spec(kind="empirical", family="lengths")
class Empirical:
    """Every one of ``values`` equally often, or the lengths of the trace at ``path``.

    Input and output lengths drawn so are independent of each other, even if the trace's are not.

    >>> Empirical(values=(30, 10)).quantile(np.array([0.1, 0.6])).tolist()
    [10, 30]
    """

    kind: Literal["empirical"] = "empirical"
    values: tuple[Tokens, ...] | None = None
    """Observed lengths, each equally likely; or ``path``."""
    path: str | None = None
    """A trace whose lengths are drawn from, relative to the scenario; or ``values``."""
    column: Literal["input", "output"] | None = None
    """Which lengths of the trace; required with ``path``."""
    format: str | None = None
    """What the trace is written in; left out: recognised from the content."""

    def __post_init__(self) -> None:
        refuse(
            ((self.values is None) == (self.path is None), "needs one of 'values' and 'path'"),
            (self.values == (), "values is empty; at least one length"),
            ((self.path is None) != (self.column is None), "'path' and 'column' come together"),
        )

    def quantile(self, u: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the value whose rank is ``floor(u n)`` in the sorted list."""
        if self.values is None:
            raise ScenarioError(Problem("resolve the path of empirical lengths first", "", ""))
        return _Sorted(np.array(self.values)).quantile(u)

    def resolve(self, base_dir: Path) -> Empirical | _Sorted:
        """Return the law with the trace's lengths read; zero outputs of a trace stay zero."""
        if self.path is None:
            return _Sorted(np.array(self.values))
        from hetsim.workload.readers import read_trace

        table = read_trace(base_dir / self.path, self.format)
        if self.column == "output" and "outputs" in table.lacks:
            raise ScenarioError(Problem("the file states no outputs", "", table.source))
        lengths = table.isl[table.isl > 0] if self.column == "input" else table.osl
        if not len(lengths):
            raise ScenarioError(Problem("no row holds input tokens", "", table.source))
        return _Sorted(lengths)


class _Sorted:
    """Observed lengths in order, ready to be drawn from."""

    __slots__ = ("lengths",)

    def __init__(self, lengths: npt.NDArray[np.int32] | npt.NDArray[np.int64]) -> None:
        self.lengths = np.sort(lengths).astype(np.int64)

    def quantile(self, u: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the value whose rank is ``floor(u n)``."""
        return self.lengths[np.floor(u * len(self.lengths)).astype(np.int64)]

    def resolve(self, base_dir: Path) -> _Sorted:
        """Return itself: everything has been read."""
        return self
