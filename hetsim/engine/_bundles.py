"""Which links are always crossed together: learned from the routes, refined by each new one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hetsim.engine._flow import Bundle, LinkState, Route

__all__ = ["Bundler"]


class Bundler:
    """Turns the links of a route into bundles; a route that needs only a part of one splits it.

    >>> bundler = Bundler([LinkState(i, 1.0) for i in range(3)])
    >>> bundler.route([(0, 1.0), (1, 1.0), (2, 1.0)])
    (((Bundle([0, 1, 2], 0 flows), 1.0),), False)
    >>> bundler.route([(0, 1.0), (1, 1.0)])
    (((Bundle([0, 1], 0 flows), 1.0),), True)
    """

    def __init__(self, links: Sequence[LinkState]) -> None:
        self.links = links
        self._crossed: dict[LinkState, None] = {}
        """Links that were on a route before; all others may go into one bundle."""

    def route(self, route: Iterable[tuple[int, float]]) -> tuple[Route, bool]:
        """Return a route in bundles, and whether a bundle that was in use is no more."""
        groups: dict[tuple[Bundle | None, float], list[LinkState]] = {}
        for number, share in route:
            link = self.links[number]
            before = link.bundle if link in self._crossed else None
            groups.setdefault((before, share), []).append(link)
        found, changed = [], False
        for (bundle, share), members in groups.items():
            if bundle is None:
                bundle = self._fresh(members)
            elif len(members) < len(bundle.links):
                bundle, changed = _split(members[0].bundle, members), True
            found.append((bundle, share))
        return tuple(found), changed

    def _fresh(self, members: list[LinkState]) -> Bundle:
        self._crossed.update(dict.fromkeys(members))
        made = Bundle(members)
        for link in members:
            link.bundle = made
        return made


def _split(bundle: Bundle, members: list[LinkState]) -> Bundle:
    """Part ``members`` from the rest of their bundle; flows on their way cross both from now on."""
    mine = bundle.part(members)
    rest = bundle.part([link for link in bundle.links if link not in members])
    for flow in bundle.users:
        flow.route = tuple(
            [
                (part, share)
                for crossed, share in flow.route
                for part in ((mine, rest) if crossed is bundle else (crossed,))
            ]
        )
    return mine
