"""Which rank of the producer each rank of the consumer reads, and how much of it."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm
from typing import NamedTuple

from hetsim.representation._descriptor import Representation

__all__ = ["Pair", "rank_pairs"]


class Pair(NamedTuple):
    """What one producer rank gives to one consumer rank."""

    producer: int
    consumer: int
    """Positions in ``ranks()`` of either side."""
    heads: int
    layers: int
    token_ratio: float
    """Share of the tokens (context parallelism deals them out)."""


def rank_pairs(p: Representation, c: Representation) -> tuple[Pair, ...]:
    """Return every pair of ranks that exchanges bytes.

    A consumer rank reads each (layer, head, token) once, from one owner; replicas on the consumer
    are read once each, and replicas on the producer share the readers between them.
    """
    producers, consumers = list(p.ranks()), list(c.ranks())
    found = []
    for index, reader in enumerate(consumers):
        for owners in _owners(producers, reader):
            # Neighbouring readers of replicated heads go to different owners.
            chosen = owners[reader.tp_rank * len(owners) // c.tp % len(owners)]
            found.append(_pair(chosen, producers[chosen], index, reader))
    return tuple(found)


def _owners(producers: Sequence[Representation], reader: Representation) -> list[list[int]]:
    """Return groups of producer ranks that hold the same needed bytes."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, owner in enumerate(producers):
        if _shared(owner.heads, reader.heads) and set(owner.layers) & set(reader.layers):
            share = _token_ratio(owner, reader)
            cp_rank = owner.seq_shard.rank if owner.seq_shard else 0
            if share:
                groups.setdefault((owner.heads, owner.pp_rank, cp_rank), []).append(index)
    return list(groups.values())


def _pair(chosen: int, owner: Representation, index: int, reader: Representation) -> Pair:
    heads = _shared(owner.heads, reader.heads)
    layers = len(set(owner.layers) & set(reader.layers))
    return Pair(chosen, index, heads, layers, _token_ratio(owner, reader))


def _shared(a: tuple[int, int], b: tuple[int, int]) -> int:
    return max(0, min(a[1], b[1]) - max(a[0], b[0]))


def _token_ratio(owner: Representation, reader: Representation) -> float:
    a, b = owner.seq_shard, reader.seq_shard
    if a is None and b is None:
        return 1.0
    size_a, rank_a, run_a = (a.size, a.rank, a.interleave_tokens) if a else (1, 0, 1)
    size_b, rank_b, run_b = (b.size, b.rank, b.interleave_tokens) if b else (1, 0, 1)
    period = lcm(size_a * run_a, size_b * run_b)
    both = sum(
        1
        for token in range(period)
        if token // run_a % size_a == rank_a and token // run_b % size_b == rank_b
    )
    return both / period
