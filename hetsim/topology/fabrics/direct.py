"""A cable of its own for every pair of instances."""

from __future__ import annotations

from typing import Literal

from hetsim.spec import spec
from hetsim.topology._graph import Draft
from hetsim.topology._network import Network
from hetsim.topology._placement import Placement
from hetsim.topology._ports import draw_nodes
from hetsim.topology._spec import BytesPerSecond, FabricSpec, default_efficiency

__all__ = ["Direct"]


@spec(kind="direct", family="fabric")
class Direct(FabricSpec):
    """Every ordered pair of instances has ``link`` for itself.

    It favours many small instances: n pairs have n times the bandwidth, and nothing is contended
    but PCIe. Valid for: point-to-point cables, and as the bound that no shared fabric passes.
    """

    fabric: Literal["direct"] = "direct"
    link: BytesPerSecond
    """Line rate between one pair, one direction."""

    def build(self, placement: Placement) -> Network:
        """Return the network that joins the instances of ``placement``."""
        draft = Draft()
        draw_nodes(draft, placement, self.ports(placement))
        rate = self.link * (self.efficiency or default_efficiency(1))
        names = []
        for placed in placement.instances:
            names.append(placed.name)
            for stand in draft.endpoints[placed.name]:
                host = f"n{stand.node}/host"
                for out, into in ((stand.out, stand.into), (f"{host}/out", f"{host}/in")):
                    draft.join(out, f"{placed.name}/tx")
                    draft.join(f"{placed.name}/rx", into)
        for a in names:
            for b in names:
                if a != b:
                    link = draft.link(f"{a}->{b}", rate, self.latency, "direct")
                    draft.join(f"{a}/tx", f"{b}/rx", link)
        return draft.network()
