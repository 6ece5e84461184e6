"""What a transfer needs to know of engines, ends and cables, and what a plan says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec

__all__ = ["Converter", "Endpoint", "Granularity", "Registration", "TransferEngine", "TransferPlan"]

Granularity = Literal["request", "chunk", "layer"]
Grade = Literal["measured", "fitted", "transferred", "datasheet"]


@spec
class TransferEngine:
    """How one transfer engine behaves on one kind of path.

    Time of one request: ``control_s`` once, ``post_s`` per descriptor on the posting thread, then
    bytes at ``ceiling_ratio`` of the line or descriptors at ``descriptors_per_s`` of each NIC,
    whichever takes longer.
    """

    title: str
    control_s: float
    post_s: float
    descriptors_per_s: float | None
    """Per NIC; None where no limit was seen."""
    ceiling_ratio: float
    """Largest part of the line rate that payload reaches."""
    connect_s: float
    """First transfer between two ends that never met."""
    grade: Grade
    rse: float
    """Relative standard error of a predicted time."""
    fit_error_ratio: float | None = None
    """Median relative error on the points of the fit."""
    sources: Mapping[str, str]
    """Where each number is from, by field name."""


@spec
class Registration:
    """What registering memory with a NIC costs, at start-up."""

    region_s: float
    host_s_per_byte: float
    sources: Mapping[str, str]


@spec
class Converter:
    """How fast a processor converts KV: part of its memory bandwidth, read plus written bytes."""

    efficiency: float
    launch_s: float
    """Fixed time of one conversion pass."""
    grade: Grade
    rse: float
    sources: Mapping[str, str]


@spec
class Endpoint:
    """One side of a hand-off: its memory, its NICs, and whether the network reaches the device."""

    ranks: int
    memory_bytes_per_s: float
    """Nominal, of one device."""
    nics: int
    """NICs that the ranks of the instance use together."""
    nic_bytes_per_s: float
    striped: bool
    """Whether any rank may use every NIC of the instance; otherwise each rank has its share."""
    host_bytes_per_s: float | None = None
    """Device to host copy of one device; needed where the network cannot reach the device."""

    def __post_init__(self) -> None:
        problems = [
            Problem(f"{name} must be above 0, not {getattr(self, name)!r}", name)
            for name in ("ranks", "memory_bytes_per_s", "nics", "nic_bytes_per_s")
            if not getattr(self, name) > 0
        ]
        if self.host_bytes_per_s is not None and not self.host_bytes_per_s > 0:
            problems.append(Problem("must be above 0", "host_bytes_per_s"))
        if problems:
            raise ScenarioError(problems)

    def line_bytes_per_s(self, share: float) -> float:
        """Return the rate of the instance when its busiest rank carries ``share`` of the bytes.

        >>> end = Endpoint(ranks=8, memory_bytes_per_s=3e12, nics=8, nic_bytes_per_s=50e9,
        ...                striped=False)
        >>> end.line_bytes_per_s(1 / 8) / 1e9, end.line_bytes_per_s(1.0) / 1e9
        (400.0, 50.0)
        """
        together = self.nics * self.nic_bytes_per_s
        if self.striped or share <= 0:
            return together
        # A NIC that several ranks share is as busy as their number times the busiest of them.
        own = max(1.0, self.nics / self.ranks) * self.nic_bytes_per_s
        return min(together, own / share)


class TransferPlan(NamedTuple):
    """One request's hand-off, without anybody else on the wire."""

    bytes: float
    descriptors: float
    post_s: float
    fixed_s: float
    """Control messages, and the fill of a staging pipeline."""
    producer_convert_s: float
    consumer_convert_s: float
    producer_stage_s: float
    """Device to host copy that the step waits for; 0 if pipelined or not staged."""
    consumer_stage_s: float
    staged: bool
    pieces: int
    rate_bytes_per_s: float
    """What engine, ends and staging let through; links shared with others may give less."""

    @property
    def wire_s(self) -> float:
        """Seconds on the wire at the plan's own rate."""
        return self.bytes / self.rate_bytes_per_s

    @property
    def total_s(self) -> float:
        """Seconds from the last token of prefill to KV that decode can read, nothing overlapped."""
        return (
            self.fixed_s
            + self.post_s
            + self.wire_s
            + self.producer_convert_s
            + self.consumer_convert_s
            + self.producer_stage_s
            + self.consumer_stage_s
        )
