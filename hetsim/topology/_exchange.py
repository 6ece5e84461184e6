"""Which parts of an instance exchange bytes in its collectives, and how many devices at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

__all__ = ["Moves", "exchanges"]

Moves = dict[tuple[int, int], float]
"""By (giving stand, taking stand): how many devices send, each at the same rate."""


def exchanges(devices: Sequence[int], domains: Sequence[int], shape: str, size: int) -> Moves:
    """Return which stands of an instance send to which.

    ``devices[s]`` is how many devices stand ``s`` has, ``domains[s]`` the scale-up domain that it
    lies in: bytes inside a domain do not take the network. Devices are numbered over the stands
    in order. ``ring``: in every block of ``size`` devices, each sends to the same place in the
    next domain, and the last domain to the first. ``all_to_all``: each sends to all of its block,
    evenly. ``shift``: each sends to the one ``size`` further on. Where parts of unlike size meet,
    the smaller sets the pace.

    >>> exchanges([8, 8], [0, 1], "ring", 16)
    {(0, 1): 8.0, (1, 0): 8.0}
    >>> exchanges([8, 8], [0, 1], "shift", 8)
    {(0, 1): 8.0}
    >>> exchanges([8, 8], [0, 0], "ring", 16)
    {}
    """
    stand_of = [stand for stand, count in enumerate(devices) for _ in range(count)]
    moves: Moves = {}
    if shape == "shift":
        for src, dst in zip(stand_of, stand_of[size:], strict=False):
            _add(moves, src, dst, 1.0, domains)
        return moves
    for first in range(0, len(stand_of), size):
        block = stand_of[first : first + size]
        if shape == "ring":
            _ring(moves, block, domains)
        else:
            _all_to_all(moves, block, domains)
    return moves


def _add(moves: Moves, src: int, dst: int, weight: float, domains: Sequence[int]) -> None:
    if domains[src] != domains[dst]:
        moves[src, dst] = moves.get((src, dst), 0.0) + weight


def _counts(block: Iterable[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for stand in block:
        counts[stand] = counts.get(stand, 0) + 1
    return counts


def _ring(moves: Moves, block: list[int], domains: Sequence[int]) -> None:
    parts: dict[int, list[int]] = {}
    for stand in block:
        parts.setdefault(domains[stand], []).append(stand)
    if len(parts) < 2:
        return
    rounds = list(parts.values())
    for here, there in pairwise([*rounds, rounds[0]]):
        for src, dst in zip(here, there, strict=False):
            _add(moves, src, dst, 1.0, domains)


def _all_to_all(moves: Moves, block: list[int], domains: Sequence[int]) -> None:
    counts = _counts(block)
    for src, senders in counts.items():
        outside = sum(n for stand, n in counts.items() if domains[stand] != domains[src])
        for dst, takers in counts.items():
            if outside:
                _add(moves, src, dst, senders * takers / outside, domains)
