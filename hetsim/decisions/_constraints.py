"""Which constraint is binding where, from the bottleneck that every run names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from hetsim.decisions._responses import Responses

__all__ = ["CONSTRAINTS", "constraint_of", "constraints_of"]

CONSTRAINTS = (
    "compute",
    "bandwidth",
    "capacity",
    "link",
    "descriptors",
    "lease",
    "admission",
    "other",
)

_SIGNS = (
    ("descriptors", ("descriptor",)),
    ("lease", ("lease", "control latency")),
    ("admission", ("batch slots", "admission", "host time")),
    ("capacity", ("KV capacity",)),
    ("link", ("network", "collectives", "link")),
    ("bandwidth", ("memory bandwidth",)),
    ("compute", ("compute", "conversion", "prompts delay", "kernel latency")),
)
"""Words of a bottleneck, the most particular first."""


def constraint_of(bottleneck: str) -> str:
    """Return the kind of constraint that a bottleneck is.

    >>> constraint_of("decode-bound: memory bandwidth of pool decode")
    'bandwidth'
    >>> constraint_of("transfer-bound: network from pool prefill to pool decode")
    'link'
    """
    for name, words in _SIGNS:
        if any(word in bottleneck for word in words):
            return name
    return "other"


def constraints_of(data: Responses) -> dict[str, Any]:
    """Return the share of designs that each constraint binds: in all, and by level."""
    rows = np.flatnonzero(data.feasible)
    kinds = [constraint_of(data.words[row]) for row in rows]
    by_level = {}
    for number, factor in enumerate(data.factors):
        by_level[factor.name] = {
            level: _shares(
                kind
                for row, kind in zip(rows, kinds, strict=True)
                if data.codes[row, number] == code
            )
            for code, level in enumerate(factor.levels)
        }
    return {"all": _shares(kinds), "by_level": by_level}


def _shares(kinds: Iterable[str]) -> dict[str, float]:
    counts = Counter(kinds)
    total = max(1, sum(counts.values()))
    return {name: counts[name] / total for name in CONSTRAINTS if counts[name]}
