"""What a hand-off costs, in bytes and counts: the drivers that a transfer model turns into time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hetsim.representation._descriptor import Representation
from hetsim.representation._flows import (
    BoundaryPolicy,
    Flow,
    Place,
    Side,
    flows,
    relayout_place,
    with_content,
)
from hetsim.representation._pairs import Pair, rank_pairs
from hetsim.spec import spec

__all__ = ["BoundaryPolicy", "CostDrivers", "Flow", "Side", "Traffic", "drivers", "with_content"]


class Traffic(NamedTuple):
    """Memory traffic of a conversion on the busiest rank of a side, per token."""

    read_bytes: float
    write_bytes: float


_NO_TRAFFIC = Traffic(0.0, 0.0)


@spec
class CostDrivers:
    """Bytes and counts of one group's hand-off, over all ranks of the instances.

    Per-token figures are per token *held* (``window`` caps them).
    """

    flows: tuple[Flow, ...]
    window: int | None
    state_bytes: float
    """Constant bytes per request (SSM state, one per consumer rank)."""
    constant_descriptors: float
    """Descriptors per request that do not grow with tokens."""
    rank_pairs: int
    sender_ranks: int
    receiver_ranks: int
    sender_share: float
    """Largest share of the wire bytes that one producer rank sends."""
    receiver_share: float
    release_only_ranks: int
    """Producer ranks that send nothing and only wait for their release."""
    producer: Traffic
    consumer: Traffic
    relayout_at: Place
    staged_sides: tuple[Side, ...]
    """Sides whose device memory the network cannot reach."""
    producer_regions: int
    consumer_regions: int
    """Regions that an instance registers, over all its ranks."""
    handshake_pairs: int

    @property
    def wire_bytes_per_token(self) -> float:
        """Bytes on the wire per token, without rounding to pages."""
        return sum(flow.bytes_per_token for flow in self.flows)

    @property
    def convert_sides(self) -> tuple[Side, ...]:
        """Sides that run a conversion pass."""
        sides: tuple[tuple[Side, Traffic], ...] = (
            ("producer", self.producer),
            ("consumer", self.consumer),
        )
        return tuple(side for side, traffic in sides if traffic.read_bytes)

    def wire_bytes(self, tokens: int) -> float:
        """Return the bytes of one request on the wire, pages rounded up."""
        held = min(tokens, self.window) if self.window else tokens
        return self.state_bytes + sum(
            -(-held // flow.unit_tokens) * flow.unit_tokens * flow.bytes_per_token
            for flow in self.flows
        )

    def descriptors(self, tokens: int, *, mean_block_run: float = 1.0) -> float:
        """Return the descriptors of one request.

        ``mean_block_run`` is the mean run of consecutive block ids that a coalescing runtime
        merges: a statistic of both allocators, 1 where nothing is merged.
        """
        held = min(tokens, self.window) if self.window else tokens
        count = self.constant_descriptors + sum(
            -(-held // flow.unit_tokens)
            * flow.unit_tokens
            * flow.descriptors_per_token
            / (mean_block_run if flow.mergeable else 1.0)
            for flow in self.flows
        )
        return max(count, float(self.rank_pairs))


def drivers(
    p: Representation,
    c: Representation,
    wire: Representation,
    policy: BoundaryPolicy,
    *,
    relayout: bool,
) -> CostDrivers:
    """Return the cost drivers of a hand-off from ``p`` to ``c`` as ``wire``.

    Source: KV boundary study, section 6.2, table of cost drivers.
    """
    pairs = rank_pairs(p, c)
    place = relayout_place(p, c, wire, policy, pairs) if relayout else "none"
    crossing = flows(p, c, wire, policy, place, pairs)
    per_token = sum(flow.bytes_per_token for flow in crossing)
    senders = _shares(pairs, [pair.producer for pair in pairs])
    receivers = _shares(pairs, [pair.consumer for pair in pairs])
    producers = sum(1 for _ in p.ranks())
    state = len(c.group_layers) * c.state_bytes * c.tp
    return CostDrivers(
        flows=crossing,
        window=p.window,
        state_bytes=state,
        constant_descriptors=float(len(c.group_layers) * c.tp) if state else 0.0,
        rank_pairs=len(pairs),
        sender_ranks=len(senders),
        receiver_ranks=len(receivers),
        sender_share=max(senders.values(), default=0.0),
        receiver_share=max(receivers.values(), default=0.0),
        release_only_ranks=producers - len(senders),
        producer=_traffic(p, wire, per_token, senders, place in ("producer", "both")),
        consumer=_traffic(c, wire, per_token, receivers, place in ("consumer", "both")),
        relayout_at=place,
        staged_sides=_staged(p, c),
        producer_regions=sum(rank.regions for rank in p.ranks()),
        consumer_regions=sum(rank.regions for rank in c.ranks()),
        handshake_pairs=producers * sum(1 for _ in c.ranks()),
    )


def _staged(p: Representation, c: Representation) -> tuple[Side, ...]:
    sides: tuple[tuple[Side, Representation], ...] = (("producer", p), ("consumer", c))
    return tuple(side for side, rep in sides if rep.mem == "vram_no_rdma")


def _shares(pairs: Sequence[Pair], ranks: Sequence[int]) -> dict[int, float]:
    """Return the share of the wire bytes by rank."""
    weights = [pair.heads * pair.layers * pair.token_ratio for pair in pairs]
    total = sum(weights)
    found: dict[int, float] = {}
    for rank, weight in zip(ranks, weights, strict=True):
        found[rank] = found.get(rank, 0.0) + weight / total
    return found


def _traffic(
    rep: Representation,
    wire: Representation,
    wire_per_token: float,
    shares: dict[int, float],
    relayout: bool,
) -> Traffic:
    """Return what the busiest rank of one side reads and writes per token to convert.

    A permutation reads and writes the wire bytes; a requantisation reads one encoding and writes
    the other; both together are still one pass.
    """
    recoded = _differs(rep, wire)
    if not (recoded or relayout) or not wire_per_token:
        return _NO_TRAFFIC
    share = max(shares.values(), default=0.0)
    crossing = wire_per_token * share
    own = crossing * _row(rep) / _row(wire) if recoded else crossing
    return Traffic(own, crossing)


def _differs(rep: Representation, wire: Representation) -> bool:
    same_static = rep.scale_id == wire.scale_id or rep.scale_loc != "checkpoint"
    return (rep.enc, rep.scale_gran) != (wire.enc, wire.scale_gran) or not same_static


def _row(rep: Representation) -> float:
    return rep.key_bytes + rep.value_bytes + rep.outside_scale_bytes
