"""What a measured file says, in the words and units of a summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from math import isfinite
from typing import Any

from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec

__all__ = ["Content", "Figures", "Observation"]


@spec
class Observation:
    """One measured run; figures carry the names that a summary has, in SI units."""

    format: str
    """The reader that understood it."""
    label: str
    """Which run of the file it is, in its own words."""
    figures: Mapping[str, float]
    """``ttft_s.mean``, ``tpot_s.p99``, ``throughput.req_s``, ...: see :mod:`hetsim.metrics`."""
    workload: Mapping[str, float] = field(default_factory=dict)
    """``input_tokens`` and ``output_tokens`` (means), ``rate_req_s``, ``requests``, ``failed``."""
    gauges: Mapping[str, float] = field(default_factory=dict)
    """Levels at one moment: ``running``, ``waiting``, ``kv_occupancy``."""
    server_side: bool = False
    """Counted by one engine, not by a client."""
    notes: tuple[str, ...] = ()


@spec
class Content:
    """A file as readers get it: its text, and its JSON values if it holds any."""

    file: str
    text: str
    values: tuple[Any, ...]
    """One value of a JSON file, one per line of JSON lines, none of another text."""

    @property
    def first(self) -> Mapping[str, Any]:
        """The first value if it is an object, else an empty one."""
        value = self.values[0] if self.values else None
        return value if isinstance(value, dict) else {}


class Figures:
    """Collects figures of one run, and every problem with them at once."""

    def __init__(self, file: str, place: str = "") -> None:
        self._file, self._place = file, place
        self.found: dict[str, float] = {}
        self.problems: list[Problem] = []

    def add(self, name: str, value: Any, path: str, scale: float = 1.0) -> None:
        """Take a figure if it is there; what is no number of at least 0 is a problem."""
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self._wrong(path, f"must be a number; seen {value!r}"[:120])
        elif not isfinite(value) or value < 0:
            self._wrong(path, f"must be a finite number of at least 0; seen {value!r}")
        else:
            self.found[name] = float(value) * scale

    def _wrong(self, path: str, message: str) -> None:
        place = ".".join(part for part in (self._place, path) if part)
        self.problems.append(Problem(message, place, self._file))

    def done(self, wanted: Iterable[str], remedy: str) -> dict[str, float]:
        """Return the figures.

        Raises
        ------
        ScenarioError
            With every problem, or if none of the ``wanted`` families is there.
        """
        families = {name.split(".")[0] for name in self.found}
        if not self.problems and not families & set(wanted):
            self._wrong("", f"holds no latency and no throughput; {remedy}")
        if self.problems:
            raise ScenarioError(self.problems)
        # A zero stands for "not measured" in every one of these formats.
        return {name: value for name, value in self.found.items() if value > 0.0}
