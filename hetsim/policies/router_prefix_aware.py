"""Prefix aware: the instance with the most cached tokens, unless it is far busier than others."""

from __future__ import annotations

from collections.abc import Sequence

from hetsim.policies._views import RouteView
from hetsim.spec import register

IMBALANCE = 1.5
"""Above this ratio of its load to the mean, balance counts more than cached tokens.

*Source:* SGLang router, ``balance_rel_threshold`` default 1.5.
"""


@register("router", "prefix_aware")
class PrefixAware:
    """Follows the cache while the load stays balanced."""

    __slots__ = ()

    def choose(self, views: Sequence[RouteView], prompt: int, keys: Sequence[int]) -> int:
        """Return the position with the longest cached prefix among those not overloaded."""
        loads = [view.load for view in views]
        limit = IMBALANCE * (sum(loads) / len(loads)) + 1.0
        best, best_rank = 0, (-1, float("-inf"))
        for index, view in enumerate(views):
            if loads[index] > limit:
                continue
            rank = (view.cached_tokens(keys) if keys else 0, -loads[index])
            if rank > best_rank:
                best, best_rank = index, rank
        return best
