"""Who stands where: instances packed on nodes, first fit, in the order of declaration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec

__all__ = ["Device", "Placed", "Placement", "Slot", "Tenant", "place"]

Share = Literal["none", "domain", "node"]


@spec
class Device:
    """What one accelerator offers to the network around it: nominal rates, one direction.

    The fields are those of a hardware profile; ``None`` means that no source gives the number.
    """

    kind: str
    host_bytes_per_s: float | None = None
    scale_up: Literal["switched", "mesh", "torus", "pcie", "none"] = "none"
    scale_up_bytes_per_s: float = 0.0
    """To all peers together."""
    per_peer_bytes_per_s: float = 0.0
    domain: int = 1
    """Devices that one scale-up domain joins."""
    rdma: bool = True
    """Whether a NIC reads and writes device memory; without, bytes go through host memory."""

    @property
    def joined(self) -> bool:
        """Whether there is a scale-up link at all."""
        return self.scale_up_bytes_per_s > 0.0 and self.scale_up not in ("pcie", "none")


@spec
class Tenant:
    """A pool that wants room: ``instances`` times ``devices``, on nodes of ``devices_per_node``."""

    pool: str
    instances: int
    devices: int
    devices_per_node: int
    device: Device


@spec
class Slot:
    """Devices ``first`` to ``first + devices - 1`` of one node."""

    node: int
    first: int
    devices: int


@spec
class Placed:
    """One instance and the slots that hold it: one slot, or whole nodes and a rest."""

    pool: str
    instance: int
    device: Device
    devices_per_node: int
    slots: tuple[Slot, ...]

    @property
    def name(self) -> str:
        """The endpoint that :meth:`Network.path` knows it by."""
        return f"{self.pool}/{self.instance}"


@spec
class Placement:
    """Where every instance stands; ``str`` gives a table of :meth:`rows`."""

    instances: tuple[Placed, ...]
    domains: tuple[int, ...]
    """Scale-up domain of the first device of each node."""

    @property
    def nodes(self) -> int:
        """How many nodes are used, wholly or in part."""
        return len(self.domains)

    def rows(self) -> list[tuple[int, str, int, str]]:
        """Return (node, pool, instance, devices), by node."""
        found = [
            (slot.node, placed.pool, placed.instance, _span(slot))
            for placed in self.instances
            for slot in placed.slots
        ]
        return sorted(found, key=lambda row: row[0])

    def domain_of(self, placed: Placed, slot: Slot) -> int:
        """Return the scale-up domain of a slot; a domain smaller than a node splits the node."""
        inside = min(placed.device.domain, placed.devices_per_node)
        return self.domains[slot.node] + slot.first // max(1, inside)

    def __str__(self) -> str:
        head = ("node", "pool", "instance", "devices")
        rows = [head, *(tuple(str(cell) for cell in row) for row in self.rows())]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)


def _span(slot: Slot) -> str:
    last = slot.first + slot.devices - 1
    return str(slot.first) if last == slot.first else f"{slot.first}-{last}"


@dataclass(slots=True)
class _Node:
    """A node while it fills."""

    pool: str
    kind: str
    size: int
    used: int = 0


@dataclass(slots=True)
class _Yard:
    """The nodes so far; new ones are added at the end."""

    share: Share
    nodes: list[_Node] = field(default_factory=list)

    def admits(self, node: _Node, tenant: Tenant) -> bool:
        if node.size != tenant.devices_per_node or node.kind != tenant.device.kind:
            return False
        return node.pool == tenant.pool or self.share == "node"

    def find(self, tenant: Tenant, devices: int) -> Slot:
        """Return the first slot with room for ``devices`` at once, on a new node if need be."""
        fitting = (
            number
            for number, node in enumerate(self.nodes)
            if self.admits(node, tenant) and node.size - node.used >= devices
        )
        number = next(fitting, len(self.nodes))
        if number == len(self.nodes):
            self.nodes.append(_Node(tenant.pool, tenant.device.kind, tenant.devices_per_node))
        node = self.nodes[number]
        slot = Slot(node=number, first=node.used, devices=devices)
        node.used += devices
        return slot


def place(tenants: Sequence[Tenant], share: Share = "none") -> Placement:
    """Pack the instances of ``tenants`` on as few nodes as first fit finds.

    An instance that fits into a node is not split; a larger one takes whole new nodes and a rest.
    ``share`` says what instances of different pools may have in common: nothing, a scale-up
    domain larger than a node (a rack), or also nodes. Only equal devices ever share.

    Raises
    ------
    ScenarioError
        With every count that is not positive, and every pool that is named twice.

    >>> h20 = Device(kind="h20", domain=8)
    >>> two = Tenant(pool="decode", instances=3, devices=4, devices_per_node=8, device=h20)
    >>> print(place([two]))
    node  pool    instance  devices
    0     decode  0         0-3
    0     decode  1         4-7
    1     decode  2         0-3
    """
    _check(tenants)
    yard = _Yard(share)
    placed = []
    for tenant in tenants:
        for index in range(tenant.instances):
            whole, rest = divmod(tenant.devices, tenant.devices_per_node)
            counts = [tenant.devices_per_node] * whole + ([rest] if rest else [])
            placed.append(
                Placed(
                    pool=tenant.pool,
                    instance=index,
                    device=tenant.device,
                    devices_per_node=tenant.devices_per_node,
                    slots=tuple(yard.find(tenant, count) for count in counts),
                )
            )
    return Placement(instances=tuple(placed), domains=_domains(yard, tenants))


def _check(tenants: Sequence[Tenant]) -> None:
    problems = []
    seen: dict[str, None] = {}
    for tenant in tenants:
        path = f"pools.{tenant.pool}"
        if tenant.pool in seen:
            problems.append(Problem("this pool is placed twice", path))
        seen[tenant.pool] = None
        for name in ("instances", "devices", "devices_per_node"):
            value = getattr(tenant, name)
            if value < 1:
                problems.append(Problem(f"is {value}; it must be at least 1", f"{path}.{name}"))
    if problems:
        raise ScenarioError(problems)


def _domains(yard: _Yard, tenants: Sequence[Tenant]) -> tuple[int, ...]:
    """Return the first domain of each node: like nodes fill a rack, small domains split a node."""
    sizes = {tenant.device.kind: tenant.device.domain for tenant in tenants}
    firsts: list[int] = []
    racks: dict[tuple[str, int, str], tuple[int, int]] = {}
    following = 0
    for node in yard.nodes:
        size = max(1, sizes[node.kind])
        pool = node.pool if yard.share == "none" else ""
        key = (node.kind, node.size, pool)
        rack, room = racks.get(key, (0, 0))
        if room == 0:
            rack, room = following, max(1, size // node.size)
            following += max(1, -(-node.size // size))
        racks[key] = (rack, room - 1)
        firsts.append(rack)
    return tuple(firsts)
