"""The network as the engine sees it: directed links, and the path between two endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hetsim.errors import ScenarioError, nearest

if TYPE_CHECKING:
    from hetsim.topology._graph import Routes

__all__ = ["DirectedLink", "Network", "Path"]


@dataclass(frozen=True, slots=True)
class DirectedLink:
    """One direction of a cable, port or bus; ``capacity_bytes_per_s`` is what it really yields."""

    id: int
    name: str
    capacity_bytes_per_s: float
    latency_s: float
    kind: str
    """``nic``, ``pcie``, ``host``, ``scale_up``, ``spine`` or ``direct``."""


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """The links from one endpoint to another, and the sum of their latencies.

    ``shares[i]`` is the part of the bytes that crosses ``links[i]``: 1 unless an endpoint spans
    nodes or groups of NICs, whose traffic is spread evenly. Paths are compared by identity.
    """

    links: tuple[int, ...]
    latency_s: float
    shares: tuple[float, ...] = ()

    @property
    def route(self) -> tuple[tuple[int, float], ...]:
        """Pairs of link and share."""
        shares = self.shares or (1.0,) * len(self.links)
        return tuple(zip(self.links, shares, strict=True))

    def through(self, added: Sequence[tuple[int, float]], latency_s: float = 0.0) -> Path:
        """Return the path that also crosses ``added`` links, each with its share of the bytes."""
        route = (*self.route, *added)
        shares = tuple(share for _, share in route)
        plain = all(share == 1.0 for share in shares)
        links = tuple(link for link, _ in route)
        return Path(links, self.latency_s + latency_s, () if plain else shares)


class Network:
    """Directed links and the paths between endpoints, found once and kept.

    Endpoints are named by text: ``"prefill/0"`` is the memory of the devices of an instance,
    ``"prefill/0/host"`` the host memory of the nodes that it stands on.
    """

    __slots__ = ("_names", "_paths", "_routes", "links")

    def __init__(self, links: Sequence[DirectedLink], routes: Routes) -> None:
        self.links = tuple(links)
        self._routes = routes
        self._paths: dict[tuple[str, str], Path] = {}
        self._names = {link.name: link.id for link in self.links}

    def with_links(self, added: Sequence[tuple[str, float, str]]) -> Network:
        """Return the same network with more links: (name, capacity, kind), such as drives.

        No route leads over them; :meth:`Path.through` adds them to one.
        """
        first = len(self.links)
        more = [
            DirectedLink(first + number, name, capacity, 0.0, kind)
            for number, (name, capacity, kind) in enumerate(added)
        ]
        return Network((*self.links, *more), self._routes)

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The names that :meth:`path` understands."""
        return self._routes.endpoints

    def path(self, src: str, dst: str) -> Path:
        """Return the path from ``src`` to ``dst``; the same object every time.

        Raises
        ------
        ScenarioError
            If there is no such endpoint, or no way between them.
        """
        key = (src, dst)
        found = self._paths.get(key)
        if found is None:
            found = self._paths[key] = self._routes.find(src, dst)
        return found

    def among(self, name: str, devices: int, groups: Sequence[tuple[str, int]]) -> Path | None:
        """Return the links that the collectives of an instance of ``devices`` devices use.

        The rate of a flow on this path is that of all devices together, as with other paths from
        or to an instance: ``shares[i]`` is the part of the devices that send over ``links[i]`` at
        once, in the ``groups`` (shape, size; see :func:`~hetsim.topology._exchange.exchanges`)
        that load it most. None if nothing leaves a scale-up domain.
        """
        return self._routes.among(name, devices, groups)

    def link(self, name: str) -> DirectedLink:
        """Return the link called ``name``; :class:`ScenarioError` lists near names."""
        if name not in self._names:
            raise ScenarioError(f"no link called {name!r}; {nearest(name, self._names)}")
        return self.links[self._names[name]]

    def bottleneck_bytes_per_s(self, path: Path) -> float:
        """Return the rate of a flow that is alone on ``path``."""
        return min(
            (self.links[link].capacity_bytes_per_s / share for link, share in path.route),
            default=float("inf"),
        )
