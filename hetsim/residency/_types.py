"""The tiers below HBM as a scenario states them. Capacities and SSD rates have no default.

Write policies: ``write_through`` stores what a prompt computed at once (SGLang's HiCache, vLLM's
offloading); ``write_back`` stores what the tier above drops and no copy of is here; ``on_eviction``
does so too, and a unit that is fetched leaves the tier (TensorRT-LLM's host cache).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from hetsim.residency.evictions import AnyEviction
from hetsim.residency.evictions.lru import Lru
from hetsim.spec import spec

if TYPE_CHECKING:
    Room = float
    Rate = float
    LongerThanZero = float
    Count = int
    Amount = float
    Fraction = float
else:
    from hetsim.spec._check import BytesPerSecond, quantity, real, whole

    Room = quantity("byte", example="256 GB", inclusive=False)
    Rate = BytesPerSecond
    LongerThanZero = quantity("second", example="10 s", inclusive=False)
    Count = whole(at_least=1, at_most=100_000)
    Amount = real(above=0.0)
    Fraction = real(above=0.0, at_most=1.0)

__all__ = ["TIERS", "DramTier", "RemoteTier", "Residency", "SsdTier"]

TIERS = ("dram", "ssd", "remote")
"""Tiers below HBM, the nearest first."""

Write = Literal["write_through", "write_back", "on_eviction"]


@spec
class DramTier:
    """Pinned host memory, over the host link (PCIe) of the devices."""

    capacity: Room
    """Of one holder: an instance, or the node."""
    share: Literal["instance", "node"] = "instance"
    """Who has it for himself. vLLM's offloading and SGLang's HiCache: each engine."""
    eviction: AnyEviction = Lru()
    """Who goes first when it is full."""
    write: Write = "write_through"
    """When it is written. HiCache's default is write_through."""


@spec
class SsdTier:
    """Drives of the node, through host memory and the host link."""

    capacity: Room
    """Of one holder: the drives of a node, or an instance's part of them."""
    read_rate: Rate
    """All drives of a node together, sequential."""
    write_rate: Rate
    """The same for writes; a drive that is full and warm writes slower than its label."""
    share: Literal["instance", "node"] = "node"
    """Who has it for himself; the rates are shared by the node in any case."""
    eviction: AnyEviction = Lru()
    """Who goes first when it is full."""
    write: Write = "write_through"
    """When it is written."""
    rated_dwpd: Amount | None = None
    """Drive writes per day that the drives are rated for; left out: wear is told, not judged."""


@spec
class RemoteTier:
    """A pool of memory on nodes of its own, shared by all instances over the network."""

    capacity: Room
    """Of all its nodes together."""
    nodes: Count
    """Memory servers that the bytes are spread over."""
    nics_per_node: Count
    """NICs of one of them; their rate is ``nic``."""
    nic: Rate | None = None
    """Line rate of one NIC; left out: that of the network."""
    eviction: AnyEviction = Lru()
    """Who goes first when it is full."""
    write: Write = "write_through"
    """When it is written."""
    lease: LongerThanZero = 10.0
    """A lookup protects what it found for so long; a read that ends later is thrown away.
    Source: Mooncake Store, default read lease (3b5a594, master_config.h)."""
    fill: Fraction = 0.9
    """Part of the capacity that is ever full. Source: Mooncake Store evicts from 0.90 of its
    memory on (3b5a594, master_config.h, eviction_high_watermark_ratio)."""


@spec
class Residency:
    """Where the KV of prompts is kept beside HBM, and when it is fetched instead of computed."""

    dram: DramTier | None = None
    """Pinned host memory."""
    ssd: SsdTier | None = None
    """Drives of the node."""
    remote: RemoteTier | None = None
    """A pool over the network; the protocol pool_lease hands KV over through it."""
    fetch: Literal["cost", "always", "never"] = "cost"
    """Fetch a prefix when that is faster than computing it, or always; never looks and counts."""
    key: Literal["complete", "no_dtype", "no_representation"] = "complete"
    """What the keys of the remote pool name: everything that fixes the bytes; all but the number
    format (vLLM's Mooncake store connector); neither format nor layout (SGLang's HiCache)."""
    writers: tuple[str, ...] = ()
    """Pools that store the KV of prompts in the remote pool; left out: the one that computes
    them. The decode pool may be named beside it: its representation may differ."""
