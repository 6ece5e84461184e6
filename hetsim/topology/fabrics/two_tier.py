"""Leaf and spine: nodes hang on leaves, whose uplinks may be fewer than their downlinks."""

from __future__ import annotations

from typing import Literal

from hetsim.spec import spec
from hetsim.topology._graph import Draft
from hetsim.topology._network import Network
from hetsim.topology._placement import Placement
from hetsim.topology._ports import draw_nics, draw_nodes, pool_of_node
from hetsim.topology._spec import Count, NicSpec, Positive, Seconds

__all__ = ["TwoTier", "nodes_per_leaf"]

LEAF_PORTS = 64
"""Source: 64 ports of 400 Gbit/s, NVIDIA QM9700 data sheet, 2022."""


def nodes_per_leaf(nics: int, oversubscription: float) -> int:
    """Return how many nodes a 64-port leaf holds.

    With ``o`` times as many ports down as up, ``64 o / (1 + o)`` lead down.

    >>> nodes_per_leaf(4, 1.0), nodes_per_leaf(4, 2.0)
    (8, 10)
    """
    down = LEAF_PORTS * oversubscription / (1.0 + oversubscription)
    return max(1, int(down + 1e-9) // nics)


@spec(kind="two_tier", family="fabric")
class TwoTier(NicSpec):
    """Leaf-spine. Traffic between leaves shares ``1 / oversubscription`` of what enters the leaf.

    Nodes fill the leaves in the order of placement. A leaf that is not full has uplinks in
    proportion: the rest belongs to others. The spine itself does not block, and flows spread over
    the uplinks perfectly (no hash collisions).
    """

    fabric: Literal["two_tier"] = "two_tier"
    oversubscription: Positive
    """Downlink over uplink capacity of a leaf; 1 is a fat tree."""
    nodes_per_leaf: Count | None = None
    """Without it as many as a leaf of 64 ports holds."""
    spine_latency: Seconds = 1e-6
    """Added between leaves. Source: kentino network latency budget, leaf-spine hop (medium)."""

    def build(self, placement: Placement) -> Network:
        """Return the network that joins the instances of ``placement``."""
        draft, ports = Draft(), self.ports(placement)
        gates = draw_nodes(draft, placement, ports)
        size = self.nodes_per_leaf or nodes_per_leaf(
            max(port.nics for port in ports.values()), self.oversubscription
        )
        draw_nics(draft, placement, ports, gates, lambda gate: f"leaf{gate.node // size}")
        downlinks: dict[int, float] = {}
        for node, pool in sorted(pool_of_node(placement).items()):
            rate = ports[pool].nics * ports[pool].nic_bytes_per_s
            downlinks[node // size] = downlinks.get(node // size, 0.0) + rate
        for leaf, rate in downlinks.items():
            capacity, half = rate / self.oversubscription, 0.5 * self.spine_latency
            name = f"leaf{leaf}"
            draft.join(name, "spine", draft.link(f"{name}.up", capacity, half, "spine"))
            draft.join("spine", name, draft.link(f"{name}.down", capacity, half, "spine"))
        return draft.network()
