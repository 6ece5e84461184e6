"""What the counters of a run say binds it, where its bottleneck does not."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["COUNTED", "bound_in_words"]

COUNTED = ("lease_expired_ratio", "turned_away_ratio")
"""Columns of points: the part of the requests that lost a lease, and that was turned away."""
_FEW = 0.01
"""A part up to which requests are lost to chance and not to a rule."""


def bound_in_words(bottleneck: str, counted: Mapping[str, float]) -> str:
    """Return what binds: a lease that runs out, an admission rule, else the bottleneck.

    Leases that run out under more than 1 % of the requests bind whatever stage is busy: their KV
    is gone, and the work for it was in vain. Requests that are turned away bind only where no stage
    is under pressure; else it is that stage which is too small.

    >>> bound_in_words("decode-bound: KV capacity of pool d", {"lease_expired_ratio": 0.44})
    'lease: 44% of the requests lost theirs'
    >>> bound_in_words("prefill-bound: compute of pool p", {"turned_away_ratio": 0.2})
    'prefill-bound: compute of pool p'
    """
    lost, away = (counted.get(name, 0.0) for name in COUNTED)
    if lost > _FEW:
        return f"lease: {lost:.0%} of the requests lost theirs"
    if away > _FEW and (not bottleneck or bottleneck.startswith("no stage")):
        return f"admission: {away:.0%} of the requests were turned away"
    return bottleneck
