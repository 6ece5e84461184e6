"""Rails: NIC number i of every node on switch number i, and no way between the switches."""

from __future__ import annotations

from typing import Literal

from hetsim.spec import spec
from hetsim.topology._graph import Draft, Gate, Pairs, Stand
from hetsim.topology._network import Network
from hetsim.topology._placement import Placement
from hetsim.topology._ports import Gates, draw_nics, draw_nodes
from hetsim.topology._spec import NicSpec

__all__ = ["Rails"]


@spec(kind="rails", family="fabric")
class Rails(NicSpec):
    """Rail-only fabric, one non-blocking switch per NIC index.

    Devices whose NICs are on the same rails talk directly. Otherwise the bytes first go to a
    neighbour on the right rail, over the scale-up link, or through host memory where there is none;
    if the sender's node has no such rail, the receiver's neighbours help in the same way.
    Source: Wang et al., Rail-only, arXiv 2307.12169, 2023; the detour is NCCL's PXN.
    """

    fabric: Literal["rails"] = "rails"

    def build(self, placement: Placement) -> Network:
        """Return the network that joins the instances of ``placement``."""
        draft, ports = Draft(), self.ports(placement)
        gates = draw_nodes(draft, placement, ports, per_rail=True)
        draw_nics(draft, placement, ports, gates, _rail)
        return draft.network(lambda src, dst: _pair(src, dst, gates))


def _rail(gate: Gate) -> str:
    return f"rail{gate.rails}"


def _pair(src: Stand, dst: Stand, gates: Gates) -> Pairs:
    theirs = {gate.rails: (gate, part) for gate, part in dst.gates}
    pairs = [(g, theirs[g.rails][0], part) for g, part in src.gates if g.rails in theirs]
    if not pairs:
        here = {gate.rails: gate for gate in gates[src.node]}
        pairs = [(here[rails], h, part) for rails, (h, part) in theirs.items() if rails in here]
    total = sum(part for _, _, part in pairs)
    return [(g, h, part / total) for g, h, part in pairs]
