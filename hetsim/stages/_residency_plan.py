"""What tiers below HBM and stores between P and D are built from, resolved and checked."""

from __future__ import annotations

from typing import Any, Literal

from hetsim.residency import Eviction, Form
from hetsim.spec import spec
from hetsim.topology import Path

__all__ = ["ResidencyPlan", "TierPlan", "TransitPlan", "copy_cost"]


@spec
class TierPlan:
    """One tier, ready to be built."""

    name: Literal["dram", "ssd", "remote"]
    pages: int
    """Of one holder."""
    eviction: Eviction
    write: Literal["write_through", "write_back", "on_eviction"]
    holders: tuple[int, ...]
    """Which holder serves each instance of the pool."""
    private: bool
    """It dies with its instance."""
    reads: tuple[Path, ...]
    """By instance: from the tier into the devices."""
    writes: tuple[Path, ...]
    """By instance: from the devices, or from host memory where that is a tier above."""
    spills: tuple[Path, ...]
    """By instance: from host memory, for what the tier above drops."""
    lookup_s: float
    """Messages before and after a read."""
    lease_s: float | None = None


@spec
class ResidencyPlan:
    """The tiers of the pool that computes prompts."""

    pool: str
    tiers: tuple[TierPlan, ...]
    fetch: Literal["cost", "always", "never"]
    key: str
    forms: tuple[Form, ...]
    """Representations that meet in the remote pool; the first is that of the reader."""
    writers: tuple[str, ...]
    unit_tokens: int
    unit_pages: int
    page_bytes: float
    mover: Any
    """Planner of a copy between equal representations: descriptors, posting, line."""
    convert_s_per_byte: float
    convert_launch_s: float
    drop_paths: tuple[Path, ...]
    """From each decode instance to the remote pool, where the decode pool stores as well."""
    ssd_capacity_bytes: float | None
    rated_dwpd: float | None


def copy_cost(plan: ResidencyPlan, tier: TierPlan, units: int) -> tuple[float, float]:
    """Return the ceiling of a copy of ``units`` in bytes per second, and its seconds beside them.

    Inside a node only the links limit, and the descriptors are posted one by one; over the network
    the transfer engine has its own ceiling and control messages, and the pool its lookups.
    """
    planned = plan.mover.plan(units * plan.unit_tokens)
    if tier.name != "remote":
        return float("inf"), planned.post_s
    return planned.rate_bytes_per_s, planned.post_s + planned.fixed_s + tier.lookup_s


@spec
class TransitPlan:
    """The store X of a hand-off that does not go straight from P to D."""

    place: Literal["remote", "device", "host"]
    """A pool over the network; a copy in the memory of P's devices, or of P's host."""
    pages: int
    """Of one prefill instance; of the pool it is the pool's own."""
    page_bytes: float
    copy_s_per_byte: float
    copy_launch_s: float
    rpc_s: float
    """Messages of one put or get beside the bytes."""
