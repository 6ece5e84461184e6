"""Nodes that nothing joins: device ports, PCIe and host memory, for a system without a network."""

from __future__ import annotations

from hetsim.topology._graph import Draft
from hetsim.topology._network import Network
from hetsim.topology._placement import Placement
from hetsim.topology._ports import draw_nodes
from hetsim.topology._spec import FabricSpec

__all__ = ["inside_nodes"]


def inside_nodes(placement: Placement) -> Network:
    """Return the links inside the nodes of ``placement``; no path leads from one to another.

    Rates are those of the device profiles and the usual ceilings of a fabric.
    """
    draft = Draft()
    draw_nodes(draft, placement, FabricSpec().ports(placement))
    return draft.network()
