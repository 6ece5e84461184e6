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
        best, least = 0, views[0].load
        for index, view in enumerate(views):
            load = view.load
            if load < least:
                best, least = index, load
        return best
