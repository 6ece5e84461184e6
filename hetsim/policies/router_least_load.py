"""Least load: the fewest requests inside; the lowest index on a tie."""

from __future__ import annotations

from collections.abc import Sequence

from hetsim.policies._views import RouteView
from hetsim.spec import register


@register("router", "least_load")
class LeastLoad:
    """Joins the shortest queue, counted in requests."""

    __slots__ = ()

    def choose(self, views: Sequence[RouteView], prompt: int, keys: Sequence[int]) -> int:
        """Return the position with the fewest requests."""
        # Asked for every request, twice: a plain loop beats a key function.
        chosen = views[0]
        least = chosen.load
        for view in views:
            load = view.load
            if load < least:
                chosen, least = view, load
        return views.index(chosen)
