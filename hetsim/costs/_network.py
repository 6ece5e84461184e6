"""What the collectives of one instance ask of the links between nodes."""

from __future__ import annotations

from typing import NamedTuple

from hetsim.costs._collectives import NETWORK_RATIO
from hetsim.costs._compile import Stage
from hetsim.costs._exchange import EXCHANGE_NETWORK_RATIO, ExchangeOp
from hetsim.costs._operators import LinkOp, TokenOp
from hetsim.costs._types import GroupLinks, Layout

__all__ = ["Group", "NetworkUse", "network_use", "on_network"]

_SHAPES = {"all_to_all": "all_to_all", "p2p": "shift"}


class Group(NamedTuple):
    """Devices that exchange bytes across nodes.

    ``ring`` and ``all_to_all``: blocks of ``size`` consecutive devices; ``shift``: every device
    sends to the one ``size`` further on, the same place in the next pipeline stage.
    """

    shape: str
    size: int


class NetworkUse(NamedTuple):
    """Bytes that collectives move between nodes, per device of the instance: an average.

    A collective reaches a part of its NICs' line (``NETWORK_RATIO``, exchanges with experts
    ``EXCHANGE_NETWORK_RATIO``) and keeps all of them while it runs (its rounds leave gaps that
    nobody else is taken to fill), so that ``bytes`` of it ask for ``bytes / (line ratio)`` of the
    links' time, at the rate that the fabric yields. That is against the collective's neighbours.
    """

    rate_bytes_per_s: float
    """Of the NICs, per device, where nobody else uses them."""
    bytes_per_token: float
    bytes_per_logit: float
    groups: tuple[Group, ...]
    exchanges: tuple[ExchangeOp, ...] = ()
    """Exchanges over nodes, whose bytes turn on the kernel that is faster."""
    halves: int = 1
    """In how many parts exchanges are done."""
    asks: float = 1.0 / NETWORK_RATIO
    """Bytes of the fabric's rate that a byte sent asks for."""
    line_bytes_per_s: float = 0.0

    def sent_bytes(self, tokens: int, logits: int) -> float:
        """Return what a step of ``tokens`` tokens and ``logits`` rows of the head sends.

        >>> NetworkUse(50e9, 8e3, 0.0, ()).sent_bytes(100, 100)
        800000.0
        """
        sent = self.bytes_per_token * tokens + self.bytes_per_logit * logits
        rate, halves = EXCHANGE_NETWORK_RATIO * self.line_bytes_per_s, self.halves
        for op in self.exchanges:
            # Every token of a decode step has a row of logits.
            sent += op.count * halves * op.network_s(tokens / halves, tokens == logits) * rate
        return sent

    def demand_bytes_per_s(self, sent_bytes: float, step_s: float) -> float:
        """Return the links' time that a step asks for, as a rate: at most all of it.

        >>> NetworkUse(50e9, 0.0, 0.0, ()).demand_bytes_per_s(8e6, 1e-3)
        10000000000.0
        """
        return min(self.rate_bytes_per_s, sent_bytes * self.asks / step_s)


def network_use(
    stage: Stage, layout: Layout, links: GroupLinks, halves: int = 1
) -> NetworkUse | None:
    """Return what the collectives of ``stage`` ask of the network; None if none leaves its node.

    The operators of one stage are those of its average device; the tokens of a step are spread
    over the attention ranks.
    """
    line = links.network_bytes_per_s
    groups: dict[Group, None] = {}
    for op in (*stage.rank, *stage.shared, *stage.logits):
        if isinstance(op, LinkOp) and op.network_s_per_byte:
            shape = _SHAPES.get(op.kind, "ring")
            size = layout.ranks if shape == "shift" else op.ranks
            groups[Group(shape, size)] = None
    if not groups or not line:
        return None
    rate = links.fabric_bytes_per_s or line
    moved = NETWORK_RATIO * line
    per_token = (_seconds(stage.rank) / layout.dp + _seconds(stage.shared)) * moved
    exchanges = tuple([op for op in stage.shared if isinstance(op, ExchangeOp)])
    # Where tokens are exchanged, that is nearly all of what is sent.
    ratio = EXCHANGE_NETWORK_RATIO if exchanges else NETWORK_RATIO
    return NetworkUse(
        rate,
        per_token,
        _seconds(stage.logits) / layout.dp * moved,
        tuple(groups),
        exchanges,
        halves,
        rate / line / ratio,
        line,
    )


def _seconds(ops: tuple[TokenOp, ...]) -> float:
    """Return the network seconds of one token."""
    return sum(
        op.count * op.bytes_per_token * op.network_s_per_byte
        for op in ops
        if isinstance(op, LinkOp) and not isinstance(op, ExchangeOp)
    )


def on_network(stage: Stage, share: float) -> Stage:
    """Return the stage where the links between nodes yield ``share`` of their rate."""

    def slowed(ops: tuple[TokenOp, ...]) -> tuple[TokenOp, ...]:
        return tuple([op.on_network(share) if isinstance(op, LinkOp) else op for op in ops])

    return stage._replace(
        rank=slowed(stage.rank), shared=slowed(stage.shared), logits=slowed(stage.logits)
    )
