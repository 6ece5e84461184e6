"""What a user says about the network; one subclass per fabric kind, in ``fabrics/``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.spec import spec
from hetsim.topology._network import Network
from hetsim.topology._placement import Placement
from hetsim.topology._ports import NodePorts

if TYPE_CHECKING:
    BytesPerSecond: TypeAlias = float
    Seconds: TypeAlias = float
    Ratio: TypeAlias = float
    Positive: TypeAlias = float
    Count: TypeAlias = int
else:
    from pydantic import Field

    from hetsim.spec._check import BytesPerSecond, Seconds

    Ratio = Annotated[float, Field(gt=0.0, le=1.0)]
    Positive = Annotated[float, Field(ge=1.0)]
    Count = Annotated[int, Field(ge=1)]

__all__ = ["FabricSpec", "NicSpec", "PoolPorts", "default_efficiency"]


def default_efficiency(nics: int) -> float:
    """Return the part of line rate that a KV transfer reaches, by the NICs of a node.

    Source: point-to-point and KV transfers as published to 2026-08: a tuned single 400G NIC 98 %
    (Mooncake#570) and 200G EFA 97 %, taken as 0.95; four NICs 82-87 % (Mooncake, H20-3e 4x400G and
    4x200G), as 0.8; eight NICs of one prefill-decode request 64-71 % (Mooncake on H800), as 0.7.
    Valid for: messages of a megabyte and more; smaller ones pay descriptors on top.

    >>> default_efficiency(1), default_efficiency(4), default_efficiency(8)
    (0.95, 0.8, 0.7)
    """
    if nics == 1:
        return 0.95
    return 0.8 if nics <= 4 else 0.7


@spec
class PoolPorts:
    """What the nodes of one pool have instead of what ``network`` says of all."""

    nic: BytesPerSecond | None = None
    """Line rate of one NIC, one direction; left out: as ``network`` says."""
    nics_per_node: Count | None = None
    """NICs of one node; left out: as ``network`` says."""
    efficiency: Ratio | None = None
    """Part of line rate that is reached; left out: as ``network`` says."""
    pcie: BytesPerSecond | None = None
    """Host link of one device; left out: as ``network`` says."""
    host_memory: BytesPerSecond | None = None
    """Bytes per second through the host memory; left out: as ``network`` says."""


@spec
class FabricSpec:
    """What every fabric has: latency, and the inside of the nodes."""

    latency: Seconds = 5e-6
    """One way between two nodes under one switch. Source: constant for a hop between racks in
    aiconfigurator, 2026-08; 1 us (half a measured round trip) to 10 us are met."""
    efficiency: Ratio | None = None
    """Part of line rate that is reached; left out: 0.95 with one NIC, 0.8 up to four, else 0.7."""
    pcie: BytesPerSecond | None = None
    """Host link of one device; without it that of the device's profile."""
    pcie_efficiency: Ratio = 0.82
    """Part of the host link's rate that copies reach. Source: 51-52 of 63 GB/s on H100 and H200,
    Azure AI benchmarking guide, 2024-09."""
    host_memory: BytesPerSecond = 213e9
    """Bytes per second through the host memory of a node. Source: memory to memory over EFA on
    p5en, Mooncake documentation, 2026-08; 56 to 283 GB/s on other nodes."""
    scale_up_efficiency: Ratio = 0.6
    """Part of the scale-up rate that a copy reaches. Source: one pair of H100, 271 of 450 GB/s at
    256 MB, aiconfigurator tables, 2026-08."""
    share: Literal["none", "domain", "node"] = "none"
    """What instances of different pools may have in common: nothing, a scale-up domain, a node."""
    pools: Mapping[str, PoolPorts] = field(default_factory=dict)
    """What the nodes of a pool have otherwise, by the pool's name."""

    def build(self, placement: Placement) -> Network:
        """Return the network that joins the instances of ``placement``."""
        raise NotImplementedError

    def ports(self, placement: Placement) -> dict[str, NodePorts]:
        """Return what the nodes of each pool have, defaults filled in.

        Raises
        ------
        ScenarioError
            If ``pools`` names one that is not placed, or a node is shared by pools whose ports
            differ.
        """
        devices = {placed.pool: placed.device for placed in placement.instances}
        problems = [
            Problem(f"no such pool; {nearest(name, devices)}", f"network.pools.{name}")
            for name in self.pools
            if name not in devices
        ]
        result: dict[str, NodePorts] = {}
        for pool, device in devices.items():
            own = self.pools.get(pool) or PoolPorts()
            pcie = own.pcie or self.pcie or device.host_bytes_per_s
            nic, nics = self._nics(own)
            ceiling = own.efficiency or self.efficiency or default_efficiency(nics)
            result[pool] = NodePorts(
                nic_bytes_per_s=nic * ceiling,
                nics=nics,
                nic_latency_s=0.5 * self.latency,
                pcie_bytes_per_s=pcie * self.pcie_efficiency if pcie else None,
                host_memory_bytes_per_s=own.host_memory or self.host_memory,
                scale_up_ratio=self.scale_up_efficiency,
            )
        problems += _unlike_neighbours(placement, result)
        if problems:
            raise ScenarioError(problems)
        return result

    def _nics(self, own: PoolPorts) -> tuple[float, int]:
        return 0.0, 0


def _unlike_neighbours(placement: Placement, ports: dict[str, NodePorts]) -> list[Problem]:
    first: dict[int, str] = {}
    clashes: dict[tuple[str, str], None] = {}
    for placed in placement.instances:
        for slot in placed.slots:
            other = first.setdefault(slot.node, placed.pool)
            if ports[other] != ports[placed.pool]:
                clashes[other, placed.pool] = None
    return [
        Problem(f"pools {a} and {b} share nodes (share: node) but state different ports", "network")
        for a, b in clashes
    ]


@spec
class NicSpec(FabricSpec):
    """A fabric that nodes enter through NICs. No default: a free link is nobody's assumption."""

    nic: BytesPerSecond
    """Line rate of one NIC, one direction."""
    nics_per_node: Count
    """NICs of one node, shared by its devices."""

    def _nics(self, own: PoolPorts) -> tuple[float, int]:
        return own.nic or self.nic, own.nics_per_node or self.nics_per_node
