"""Round robin: the next instance in turn, whatever its load."""

from __future__ import annotations

from collections.abc import Sequence

from hetsim.policies._views import RouteView
from hetsim.spec import register


@register("router", "round_robin")
class RoundRobin:
    """Takes instances in turn."""

    __slots__ = ("_next",)

    def __init__(self) -> None:
        self._next = 0

    def choose(self, views: Sequence[RouteView], prompt: int, keys: Sequence[int]) -> int:
        """Return the next position in turn."""
        chosen = self._next % len(views)
        self._next = chosen + 1
        return chosen
