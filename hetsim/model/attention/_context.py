"""How much context the queries of a chunk read, summed in closed form."""

from __future__ import annotations

__all__ = ["context_sum"]


def context_sum(new: int, past: int, limit: int | None) -> int:
    """Return the sum over ``new`` causal queries of the context each reads, itself included.

    ``sum(min(past + i, limit) for i in 1..new)``, without the loop.

    >>> context_sum(3, 10, None)  # 11 + 12 + 13
    36
    >>> context_sum(3, 10, 12)  # 11 + 12 + 12
    35
    """
    if limit is None or past + new <= limit:
        return new * past + new * (new + 1) // 2
    if past >= limit:
        return new * limit
    growing = limit - past
    return growing * past + growing * (growing + 1) // 2 + (new - growing) * limit
