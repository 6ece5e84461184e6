"""Vertices, links and routes: the graph that the builders draw and the paths found on it.

A *stand* is the part of an instance that one node holds. Its bytes reach the network through
*gates*, groups of NICs: those NICs of a node that the same instances own form one gate, since
nothing can tell them apart. Transfers spread evenly over stands and gates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.topology._exchange import exchanges
from hetsim.topology._network import DirectedLink, Network, Path

__all__ = ["Draft", "Gate", "Routes", "Stand", "evenly", "wire"]

COST = {"scale_up": 1, "pcie": 2, "host": 10, "spine": 20, "direct": 50, "nic": 100}
"""How much a link is shunned when there is a choice: inside before outside, device before host."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Equal NICs of one node: indices ``rails``, seen as one port."""

    vertex: str
    node: int
    rails: tuple[int, ...]

    @property
    def tx(self) -> str:
        """Where bytes enter it to leave the node; apart from ``rx``, for a NIC is no short cut."""
        return f"{self.vertex}/tx"

    @property
    def rx(self) -> str:
        """Where bytes come out of it into the node."""
        return f"{self.vertex}/rx"


@dataclass(frozen=True, slots=True)
class Stand:
    """Part of an endpoint: where it stands, which part of the bytes it has, and its own gates."""

    vertex: str
    node: int
    domain: int
    """-1 where there is no scale-up link."""
    weight: float
    gates: tuple[tuple[Gate, float], ...]
    """Each with the NICs of it that the stand owns, as a part of all it owns."""

    @property
    def out(self) -> str:
        """Where bytes are that have left its memory."""
        return f"{self.vertex}/out"

    @property
    def into(self) -> str:
        """Where bytes are that are about to enter its memory."""
        return f"{self.vertex}/in"


OUTSIDE = ("nic", "spine", "direct")
"""Links between nodes: bytes that stay inside a node do not take them."""

Pairs = Sequence[tuple[Gate, Gate, float]]
Pairing = Callable[[Stand, Stand], Pairs]
"""Which gates exchange the bytes of two stands; nothing leaves the choice to the cheapest way."""


def evenly(src: Stand, dst: Stand) -> Pairs:
    """Return every pair of gates, weighted by the NICs behind them."""
    return [(g, h, a * b) for g, a in src.gates for h, b in dst.gates]


def _new_graph() -> Any:
    import networkx as nx

    return nx.DiGraph()


@dataclass(slots=True)
class Draft:
    """A network while it is drawn."""

    links: list[DirectedLink] = field(default_factory=list)
    graph: Any = field(default_factory=_new_graph)
    endpoints: dict[str, tuple[Stand, ...]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """What an endpoint lacks for host memory to be reached, for the error message."""

    def link(self, name: str, capacity: float, latency_s: float, kind: str) -> int:
        """Add a link; :meth:`join` says between which vertices."""
        self.links.append(DirectedLink(len(self.links), name, capacity, latency_s, kind))
        return self.links[-1].id

    def join(self, src: str, dst: str, link: int | None = None) -> None:
        """Let ``link`` lead from ``src`` to ``dst``; without one the step is free."""
        cost = COST[self.links[link].kind] if link is not None else 0
        self.graph.add_edge(src, dst, link=link, cost=cost)

    def network(self, pairing: Pairing = evenly) -> Network:
        """Return the finished network."""
        return Network(self.links, Routes(self, pairing))


class Routes:
    """Finds the path between two endpoints on the graph; :class:`Network` keeps what it found."""

    __slots__ = ("_draft", "_legs", "_pairing")

    def __init__(self, draft: Draft, pairing: Pairing) -> None:
        self._draft = draft
        self._pairing = pairing
        self._legs: dict[tuple[str, str], tuple[int, ...]] = {}

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Every name, in the order of placement."""
        return tuple(self._draft.endpoints)

    def find(self, src: str, dst: str) -> Path:
        """Return the path; see :meth:`Network.path`."""
        here, there = self._stands(src), self._stands(dst)
        if src == dst:
            return Path((), 0.0)
        shares: dict[int, float] = {}
        latency_s = 0.0
        for s, t, weight in _meetings(src, dst, here, there):
            for part, legs in self._ways(s, t):
                links = self._walk(legs, src, dst, _near(s, t))
                for link in links:
                    shares[link] = shares.get(link, 0.0) + part * weight
                lag = sum(self._draft.links[link].latency_s for link in links)
                latency_s = max(latency_s, lag)
        rounded = tuple(1.0 if abs(share - 1.0) < 1e-12 else share for share in shares.values())
        plain = all(share == 1.0 for share in rounded)
        return Path(tuple(shares), latency_s, () if plain else rounded)

    def among(self, name: str, devices: int, groups: Sequence[tuple[str, int]]) -> Path | None:
        """Return what the collectives of an instance use; see :meth:`Network.among`."""
        stands = self._stands(name)
        counts = [round(stand.weight * devices) for stand in stands]
        domains = [s.domain if s.domain >= 0 else -1 - s.node for s in stands]
        busiest: dict[int, float] = {}
        for shape, size in groups:
            shares: dict[int, float] = {}
            for (src, dst), senders in exchanges(counts, domains, shape, size).items():
                for part, legs in self._ways(stands[src], stands[dst]):
                    for link in self._walk(legs, name, name, False):
                        shares[link] = shares.get(link, 0.0) + senders * part
            for link, share in shares.items():
                busiest[link] = max(share, busiest.get(link, 0.0))
        if not busiest:
            return None
        return Path(tuple(busiest), 0.0, tuple([n / devices for n in busiest.values()]))

    def _stands(self, name: str) -> tuple[Stand, ...]:
        known = self._draft.endpoints
        if name not in known:
            raise ScenarioError(f"no endpoint called {name!r}; {nearest(name, known)}")
        return known[name]

    def _ways(self, src: Stand, dst: Stand) -> list[tuple[float, tuple[str, ...]]]:
        straight: list[tuple[float, tuple[str, ...]]] = [(1.0, (src.vertex, dst.vertex))]
        if _near(src, dst):
            return straight
        pairs = self._pairing(src, dst) if src.gates and dst.gates else ()
        forced: list[tuple[float, tuple[str, ...]]]
        forced = [(part, (src.vertex, g.tx, h.rx, dst.vertex)) for g, h, part in pairs]
        return forced or straight

    def _walk(self, stops: tuple[str, ...], src: str, dst: str, inside: bool) -> list[int]:
        links: list[int] = []
        for leg in pairwise(stops):
            if leg not in self._legs:
                self._legs[leg] = self._shortest(leg, src, dst, inside)
            links += self._legs[leg]
        return links

    def _shortest(self, leg: tuple[str, str], src: str, dst: str, inside: bool) -> tuple[int, ...]:
        import networkx as nx

        graph, links = self._draft.graph, self._draft.links
        try:
            vertices = nx.shortest_path(graph, *leg, weight="cost")
        except (nx.NetworkXNoPath, nx.NodeNotFound):
            raise self._no_way(src, dst) from None
        steps = [graph.edges[pair]["link"] for pair in pairwise(vertices)]
        found = tuple(link for link in steps if link is not None)
        hops = [links[link].kind for link in found if links[link].kind in OUTSIDE]
        if (inside and hops) or hops.count("nic") > 2:
            # Out and back in, or twice over the fabric: no transfer engine does that by itself.
            raise self._no_way(src, dst)
        return found

    def _no_way(self, src: str, dst: str) -> ScenarioError:
        why = self._draft.missing
        hint = why.get(src) or why.get(dst) or "no links join them"
        return ScenarioError(Problem(f"no way from {src} to {dst}: {hint}", "network"))


def _near(src: Stand, dst: Stand) -> bool:
    return src.node == dst.node or (src.domain == dst.domain and src.domain >= 0)


def _meetings(
    src: str, dst: str, here: tuple[Stand, ...], there: tuple[Stand, ...]
) -> list[tuple[Stand, Stand, float]]:
    """Return which stands exchange bytes, and which part: all pairs, but one's own host at home."""
    if src.removesuffix("/host") == dst.removesuffix("/host"):
        return [(s, t, s.weight) for s, t in zip(here, there, strict=True)]
    return [(s, t, s.weight * t.weight) for s in here for t in there]


def wire(bytes_per_s: float, latency_s: float = 0.0, ends: tuple[str, str] = ("a", "b")) -> Network:
    """Return the smallest network, one link from ``a`` to ``b``: for examples and tests."""
    draft = Draft()
    a, b = ends
    draft.join(a, b, draft.link(f"{a}->{b}", bytes_per_s, latency_s, "direct"))
    for index, name in enumerate(ends):
        draft.endpoints[name] = (Stand(name, index, -1, 1.0, ()),)
    return draft.network()
