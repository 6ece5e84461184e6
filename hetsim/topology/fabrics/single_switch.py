"""Every NIC on one non-blocking switch: only the NICs limit."""

from __future__ import annotations

from typing import Literal

from hetsim.spec import spec
from hetsim.topology._graph import Draft
from hetsim.topology._network import Network
from hetsim.topology._placement import Placement
from hetsim.topology._ports import draw_nics, draw_nodes
from hetsim.topology._spec import NicSpec

__all__ = ["SingleSwitch"]


@spec(kind="single_switch", family="fabric")
class SingleSwitch(NicSpec):
    """One crossbar.

    Valid for: one rack, or a fat tree without oversubscription and with perfect spreading.
    """

    fabric: Literal["single_switch"] = "single_switch"

    def build(self, placement: Placement) -> Network:
        """Return the network that joins the instances of ``placement``."""
        draft, ports = Draft(), self.ports(placement)
        gates = draw_nodes(draft, placement, ports)
        draw_nics(draft, placement, ports, gates, lambda gate: "switch")
        return draft.network()
