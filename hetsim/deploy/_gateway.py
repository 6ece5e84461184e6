"""Routing policies of vllm-router and sglang-router, which have the same names and meanings.

Source: SGLang 0.5.23, docs/advanced_features/router.md; vllm-router 0.1.16, README.
"""

from __future__ import annotations

__all__ = ["EXACT", "NEAR", "policy"]

EXACT = {"round_robin": "round_robin"}
_TWO = "power_of_two: the less loaded of two workers drawn at random"
_CACHE = "cache_aware: guesses prefixes from past requests, and balances load"
NEAR = {
    "least_load": _TWO,
    "prefix_aware": _CACHE,
    "kv_aware": _CACHE,
    "shared_queue": "no shared queue; power_of_two is written",
}
"""For policies of a pool without an equal there: what is done instead."""
_WORDS = {**EXACT, "prefix_aware": "cache_aware", "kv_aware": "cache_aware"}


def policy(router: str) -> str:
    """Return the routing policy that is that of a pool, or comes near.

    >>> policy("round_robin"), policy("kv_aware"), policy("least_load")
    ('round_robin', 'cache_aware', 'power_of_two')
    """
    return _WORDS.get(router, "power_of_two")
