"""The descriptors of a hand-off: which runs cross the wire, and who permutes first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from hetsim.representation._descriptor import Representation
from hetsim.representation._pairs import Pair
from hetsim.representation._runs import Family, families
from hetsim.representation._words import Enc
from hetsim.spec import spec

__all__ = ["BoundaryPolicy", "Flow", "Place", "Side", "flows", "relayout_place", "with_content"]

Side = Literal["producer", "consumer"]
Place = Literal["none", "producer", "consumer", "both"]


@spec
class BoundaryPolicy:
    """Choices of the runtime or the user that a pair of descriptors does not settle."""

    run_min_bytes: float = 4096.0
    """Shorter runs are permuted rather than scattered. Source: the middle of the range 512 B to
    8 KiB of the KV boundary study, 6.2; a 100 Gbit/s NIC reached 64 % of its line with pieces of
    4 KiB and 30 % with 1 KiB (LMCache issue 4161)."""
    force_scatter: bool = False
    """Scatter runs of any length (the slice path of SGLang)."""
    convert_at: Side = "producer"
    wire_enc: Enc | None = None
    """Encoding on the wire; None = the consumer's if converted at the producer, else the other."""
    relayout_at: Literal["producer", "consumer", "both"] = "consumer"
    transit_piece_bytes: float = 4.0 * 2**20
    """Largest descriptor out of a contiguous transit buffer."""


@spec
class Flow:
    """Descriptors of equal length between all rank pairs of a group."""

    run_bytes: float
    unit_tokens: int
    """Tokens are rounded up to this many."""
    bytes_per_token: float
    mergeable: bool

    @property
    def descriptors_per_token(self) -> float:
        """Descriptors per (rounded) token, none of them merged."""
        return self.bytes_per_token / self.run_bytes


def with_content(rep: Representation, content: Representation) -> Representation:
    """Return ``rep`` holding the codes and scales of ``content``, laid out as before."""
    return replace(
        rep,
        enc=content.enc,
        scale_gran=content.scale_gran,
        scale_loc=content.scale_loc,
        scale_id=content.scale_id,
        scale_width_bytes=content.scale_width_bytes,
        side_shipped=content.side_shipped,
    )


def flows(
    p: Representation,
    c: Representation,
    wire: Representation,
    policy: BoundaryPolicy,
    place: Place,
    pairs: Sequence[Pair],
) -> tuple[Flow, ...]:
    found = _families(with_content(p, wire), with_content(c, wire), pairs, place)
    if place == "both":
        # Gathered at the producer, scattered at the consumer: large pieces of transit buffers.
        amount = sum(family.bytes_per_token * ratio for family, ratio in found)
        run = policy.transit_piece_bytes
        return (Flow(run_bytes=run, unit_tokens=1, bytes_per_token=amount, mergeable=False),)
    return _merged(found)


def _families(
    p: Representation, c: Representation, pairs: Iterable[Pair], place: Place
) -> list[tuple[Family, float]]:
    producers, consumers = list(p.ranks()), list(c.ranks())
    # Ranks differ only in how many layers they hold, so few shapes occur.
    seen: dict[tuple[int, ...], tuple[Family, ...]] = {}
    found = []
    for pair in pairs:
        a, b = producers[pair.producer], consumers[pair.consumer]
        key = (len(a.layers), len(b.layers), pair.heads, pair.layers)
        if key not in seen:
            # A one-sided permutation sends from, or receives into, a transit buffer that is laid
            # out like the other side and holds just the bytes that the two ranks share.
            sender = _transit(b, pair) if place == "producer" else a
            receiver = _transit(a, pair) if place == "consumer" else b
            seen[key] = families(sender, receiver, pair.heads, pair.layers)
        found += [(family, pair.token_ratio) for family in seen[key]]
    return found


def _transit(like: Representation, pair: Pair) -> Representation:
    layers = like.layers[: pair.layers]
    return replace(
        like,
        kv_heads_total=pair.heads,
        group_layers=layers,
        tp=1,
        pp=1,
        tp_rank=0,
        pp_rank=0,
    )


def _merged(found: Iterable[tuple[Family, float]]) -> tuple[Flow, ...]:
    total: dict[tuple[float, int, bool], float] = {}
    for family, ratio in found:
        key = (family.run_bytes, family.unit_tokens, family.mergeable)
        total[key] = total.get(key, 0.0) + family.bytes_per_token * ratio
    return tuple(
        Flow(run_bytes=run, unit_tokens=unit, bytes_per_token=amount, mergeable=merge)
        for (run, unit, merge), amount in total.items()
    )


def relayout_place(
    p: Representation,
    c: Representation,
    wire: Representation,
    policy: BoundaryPolicy,
    pairs: Sequence[Pair],
) -> Place:
    """Return who permutes: the side that the policy names, or both where one is not enough.

    A consumer cannot help when heads are cut out of token-major pages: the runs are short at the
    producer already.
    """
    place: Place = policy.relayout_at
    found = flows(p, c, wire, policy, place, pairs)
    return place if _shortest(found) >= min(policy.run_min_bytes, _best(wire)) else "both"


def _shortest(found: Sequence[Flow]) -> float:
    return min((flow.run_bytes for flow in found), default=0.0)


def _best(wire: Representation) -> float:
    """Return the bytes of a page of keys: no permutation yields longer runs for sure."""
    return wire.page_tokens * wire.heads_per_rank * max(wire.key_bytes, wire.value_bytes)
