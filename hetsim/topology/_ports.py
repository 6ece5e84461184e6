"""Inside the node: device ports, PCIe, host memory, scale-up links, and the NICs that leave it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hetsim.topology._graph import Draft, Gate, Stand
from hetsim.topology._placement import Device, Placed, Placement, Slot

__all__ = ["Gates", "NodePorts", "draw_nics", "draw_nodes", "owned_nics", "pool_of_node"]

SCALE_UP_LATENCY_S = 3.1e-6
"""Per small operation, NVLink, CUDA IPC through NIXL. Source: nixl#115, 2025 (medium)."""


@dataclass(frozen=True, slots=True)
class NodePorts:
    """What a node of one pool has, after defaults: effective rates, one direction."""

    nic_bytes_per_s: float
    """Of one NIC, after its ceiling."""
    nics: int
    nic_latency_s: float
    pcie_bytes_per_s: float | None
    """Of one device, after its ceiling; None if no source gives it."""
    host_memory_bytes_per_s: float
    scale_up_ratio: float
    """Effective over nominal."""


def owned_nics(slot: Slot, devices_per_node: int, nics: int) -> tuple[int, ...]:
    """Return the NICs of a node that the devices of ``slot`` own: those spread over its span.

    >>> owned_nics(Slot(node=0, first=4, devices=4), 8, 4)   # two devices share a NIC
    (2, 3)
    >>> owned_nics(Slot(node=0, first=1, devices=1), 2, 4)   # a device owns two
    (2, 3)
    """
    first = slot.first * nics // devices_per_node
    last = -(-(slot.first + slot.devices) * nics // devices_per_node)
    return tuple(range(first, max(last, first + 1)))


Gates = dict[int, list[Gate]]


def draw_nodes(
    draft: Draft, placement: Placement, ports: dict[str, NodePorts], *, per_rail: bool = False
) -> Gates:
    """Draw every node into ``draft``, with an endpoint for each instance and its host memory.

    Returns the gates of each node; the fabric joins them. With ``per_rail`` only NIC indices that
    every node treats alike are merged.
    """
    gates = _gates(placement, ports, per_rail)
    hosts: dict[int, int] = {}
    for placed in placement.instances:
        port = ports[placed.pool]
        stands = []
        hosted = []
        for slot in placed.slots:
            stand = _stand(placed, slot, port, placement, gates[slot.node])
            stands.append(stand)
            _draw_pcie(draft, stand, slot, placed.device, port)
            _draw_host(draft, stand, placed, port, gates[slot.node], hosts)
            hosted.append(_host_stand(stand, port, gates[slot.node]))
        draft.endpoints[placed.name] = tuple(stands)
        draft.endpoints[f"{placed.name}/host"] = tuple(hosted)
    _draw_scale_up(draft, placement, ports)
    return gates


def _gates(placement: Placement, ports: dict[str, NodePorts], per_rail: bool) -> Gates:
    owners: dict[int, dict[int, tuple[str, ...]]] = {}
    for placed in placement.instances:
        nics = ports[placed.pool].nics
        for slot in placed.slots:
            table = owners.setdefault(slot.node, dict.fromkeys(range(nics), ()))
            for nic in owned_nics(slot, placed.devices_per_node, nics) if nics else ():
                table[nic] = (*table[nic], placed.name)
    result: Gates = {}
    for node in sorted(owners):
        groups: dict[object, list[int]] = {}
        for nic, names in owners[node].items():
            # On rails an index is told apart by its owners on every node.
            alike = tuple(owners[n].get(nic) for n in sorted(owners)) if per_rail else names
            groups.setdefault(alike, []).append(nic)
        result[node] = [
            Gate(f"n{node}/nic{_range(rails)}", node, tuple(rails)) for rails in groups.values()
        ]
    return result


def _range(rails: list[int]) -> str:
    if len(rails) > 1 and rails == list(range(rails[0], rails[-1] + 1)):
        return f"{rails[0]}-{rails[-1]}"
    return ",".join(str(rail) for rail in rails)


def _stand(
    placed: Placed, slot: Slot, port: NodePorts, placement: Placement, gates: list[Gate]
) -> Stand:
    own = owned_nics(slot, placed.devices_per_node, port.nics) if port.nics else ()
    mine = [(gate, sum(rail in own for rail in gate.rails)) for gate in gates]
    total = sum(s.devices for s in placed.slots)
    return Stand(
        vertex=f"{placed.name}@n{slot.node}",
        node=slot.node,
        domain=placement.domain_of(placed, slot) if placed.device.joined else -1,
        weight=slot.devices / total,
        gates=tuple((gate, count / len(own)) for gate, count in mine if count),
    )


def _host_stand(stand: Stand, port: NodePorts, gates: list[Gate]) -> Stand:
    parts = tuple((gate, len(gate.rails) / port.nics) for gate in gates)
    return Stand(f"n{stand.node}/host", stand.node, -1, stand.weight, parts)


def _draw_pcie(draft: Draft, stand: Stand, slot: Slot, device: Device, port: NodePorts) -> None:
    out = into = None
    if port.pcie_bytes_per_s is not None:
        capacity = slot.devices * port.pcie_bytes_per_s
        out = draft.link(f"{stand.vertex}.pcie.out", capacity, 0.0, "pcie")
        into = draft.link(f"{stand.vertex}.pcie.in", capacity, 0.0, "pcie")
    # One vertex each way: what comes in from a NIC must reach memory before it can leave again.
    draft.join(stand.vertex, stand.out, out)
    draft.join(stand.into, stand.vertex, into)
    if device.rdma:
        for gate, _ in stand.gates:
            draft.join(stand.out, gate.tx)
            draft.join(gate.rx, stand.into)


def _draw_host(
    draft: Draft,
    stand: Stand,
    placed: Placed,
    port: NodePorts,
    gates: list[Gate],
    hosts: dict[int, int],
) -> None:
    node, host = stand.node, f"n{stand.node}/host"
    if node not in hosts:
        # One memory serves both directions; what bounces through it crosses it twice.
        hosts[node] = draft.link(f"n{node}.host", port.host_memory_bytes_per_s, 0.0, "host")
        for gate in gates:
            draft.join(f"{host}/out", gate.tx)
            draft.join(gate.rx, f"{host}/in")
        draft.join(host, f"{host}/out", hosts[node])
        draft.join(f"{host}/in", host, hosts[node])
    if port.pcie_bytes_per_s is None:
        lacks = f"no source gives the host link of {placed.device.kind}; state network.pcie"
        draft.missing[placed.name] = draft.missing[f"{placed.name}/host"] = lacks
        return
    draft.join(stand.out, host, hosts[node])
    draft.join(host, stand.into, hosts[node])


def _draw_scale_up(draft: Draft, placement: Placement, ports: dict[str, NodePorts]) -> None:
    members: dict[int, list[tuple[Stand, int, Device, float]]] = {}
    for placed in placement.instances:
        stands = draft.endpoints[placed.name]
        for stand, slot in zip(stands, placed.slots, strict=True):
            if stand.domain >= 0:
                ratio = ports[placed.pool].scale_up_ratio
                members.setdefault(stand.domain, []).append(
                    (stand, slot.devices, placed.device, ratio)
                )
    for domain in sorted(members):
        group = members[domain]
        if len(group) < 2:
            continue
        for stand, devices, device, ratio in group:
            capacity = devices * device.scale_up_bytes_per_s * ratio
            v, half = stand.vertex, 0.5 * SCALE_UP_LATENCY_S
            out = draft.link(f"{v}.scale_up.out", capacity, half, "scale_up")
            into = draft.link(f"{v}.scale_up.in", capacity, half, "scale_up")
            draft.join(v, f"{v}/up", out)
            draft.join(f"{v}/down", v, into)
        _join_domain(draft, domain, group)


def _join_domain(draft: Draft, domain: int, group: list[tuple[Stand, int, Device, float]]) -> None:
    """Join a domain: a switch gives any pair the full rate, a mesh only the links between them."""
    for src, a, device, ratio in group:
        if device.scale_up == "switched":
            draft.join(f"{src.vertex}/up", f"domain{domain}")
            draft.join(f"domain{domain}", f"{src.vertex}/down")
            continue
        for dst, b, _, _ in group:
            if dst is src:
                continue
            between = a * b * device.per_peer_bytes_per_s * ratio
            name = f"{src.vertex}->{dst.vertex}.scale_up"
            link = draft.link(name, between, 0.0, "scale_up")
            draft.join(f"{src.vertex}/up", f"{dst.vertex}/down", link)


def pool_of_node(placement: Placement) -> dict[int, str]:
    """Return a pool of each node; pools that share a node have equal ports."""
    found: dict[int, str] = {}
    for placed in placement.instances:
        for slot in placed.slots:
            found.setdefault(slot.node, placed.pool)
    return found


def draw_nics(
    draft: Draft,
    placement: Placement,
    ports: dict[str, NodePorts],
    gates: Gates,
    switch_of: Callable[[Gate], str],
) -> None:
    """Join every gate to its switch, by one link each way; half of the latency is on each."""
    pools = pool_of_node(placement)
    for node, group in gates.items():
        port = ports[pools[node]]
        for gate in group:
            capacity = len(gate.rails) * port.nic_bytes_per_s
            out = draft.link(f"{gate.vertex}.tx", capacity, port.nic_latency_s, "nic")
            into = draft.link(f"{gate.vertex}.rx", capacity, port.nic_latency_s, "nic")
            draft.join(gate.tx, switch_of(gate), out)
            draft.join(switch_of(gate), gate.rx, into)
