"""KV aware: the least work to do, counting cached tokens as done and full pools as work."""

from __future__ import annotations

from collections.abc import Sequence

from hetsim.policies._views import RouteView
from hetsim.spec import register


@register("router", "kv_aware")
class KvAware:
    """Minimises the prompt tokens in front of and in the request; a full pool comes last.

    *Source:* the idea of Dynamo's KV router (cost = uncached prefill tokens + load), documentation
    of release 1.6.
    """

    __slots__ = ()

    def choose(self, views: Sequence[RouteView], prompt: int, keys: Sequence[int]) -> int:
        """Return the position with the smallest (is full, tokens to compute, load)."""
        best, best_cost = 0, (2, float("inf"), float("inf"))
        for index, view in enumerate(views):
            cached = view.cached_tokens(keys) if keys else 0
            full = 1 if view.free_blocks() <= 0 else 0
            cost = (full, float(view.queued_tokens + prompt - cached), float(view.load))
            if cost < best_cost:
                best, best_cost = index, cost
        return best
