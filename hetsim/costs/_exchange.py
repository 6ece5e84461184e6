"""The exchange of tokens with experts over several nodes: rows by link, and two ways to send them.

A kernel for many tokens sends a row once to every node that holds one of its experts and passes it
on over the scale-up link (DeepEP, normal); one for few tokens sends a copy per chosen expert
straight to its rank (DeepEP, low latency). Steps with prompts take the faster one, decode steps the
latter: the former must ask the host how many rows come, which a captured graph cannot.
"""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from math import ceil, log2
from typing import NamedTuple

from hetsim.costs._calibration import Piece
from hetsim.costs._operators import LinkOp

__all__ = ["EXCHANGE_NETWORK_RATIO", "ExchangeOp", "Routing", "Rows", "exchange_pieces", "rows_of"]

EXCHANGE_NETWORK_RATIO = 0.93
"""Of the NIC line in an exchange over nodes. Source: kernel tables of DeepEP on eight-device H100
nodes with 400 Gbit/s each (aiconfigurator-core 0.12.0; 2, 4 and 8 nodes low latency 0.93 to 0.96,
4 nodes normal 0.92 to 0.93); the project's own table of H800 gives 0.87 to 0.90."""
_PASSED_ON = 0.40
"""Of the scale-up rate where rows are passed on inside a node; same tables: 0.38 to 0.47 on two
nodes, where that is the slower part, and 0.43 to 0.52 of low-latency kernels."""
_FLOORS_S = {
    "dispatch": ((32e-6, 30e-6), (16e-6, 3e-6)),
    "combine": ((46e-6, 33e-6), (20e-6, 3e-6)),
}
"""Fixed time at one node and per doubling of nodes, normal and low latency, without the flights of
2 us there and back. Source: the same tables at one to eight tokens."""
_SOURCE = "exchange over nodes, DeepEP tables of H100 (aiconfigurator-core 0.12.0)"


class Routing(NamedTuple):
    """How a layer picks experts: ``top_k`` of those in ``top_groups`` of ``groups`` groups."""

    experts: int
    top_k: int
    groups: int = 1
    top_groups: int = 1


@lru_cache(maxsize=4096)
def expected_parts(routing: Routing, parts: int) -> float:
    """Return on how many of ``parts`` equal parts of the experts those of a token lie, on average.

    Parts are consecutive experts, as are groups. Every choice of groups is as likely as any other,
    and so is every choice of ``top_k`` experts in them: a part that holds ``h`` of the ``M``
    admitted experts is missed with probability ``prod over i < k of (1 - h / (M - i))``.

    >>> expected_parts(Routing(4, 1), 4), expected_parts(Routing(8, 2, 4, 1), 4)
    (1.0, 1.0)
    >>> round(expected_parts(Routing(4, 2), 2), 6)  # 6 pairs, 4 of them apart: 1 + 4/6
    1.666667
    """
    size = routing.experts / routing.groups
    admitted = routing.top_groups * size
    total = 0.0
    for part in range(parts):
        first, last = part * routing.experts / parts, (part + 1) * routing.experts / parts
        held = [
            max(0.0, min(last, (group + 1) * size) - max(first, group * size))
            for group in range(routing.groups)
        ]
        ways = _ways(held, routing.top_groups)
        missed = sum(_missed(h, admitted, routing.top_k) * count for h, count in ways.items())
        total += 1.0 - missed / sum(ways.values())
    return total


def _ways(held: list[float], chosen: int) -> dict[float, int]:
    """Return in how many ways ``chosen`` groups hold how many experts of a part."""
    found: dict[tuple[int, float], int] = {(0, 0.0): 1}
    for own in held:
        more = dict(found)
        for (count, sum_), ways in found.items():
            if count < chosen:
                key = (count + 1, sum_ + own)
                more[key] = more.get(key, 0) + ways
        found = more
    return {sum_: ways for (count, sum_), ways in found.items() if count == chosen}


def _missed(held: float, admitted: float, top_k: int) -> float:
    chance = 1.0
    for i in range(top_k):
        chance *= max(0.0, 1.0 - held / (admitted - i)) if admitted > i else 0.0
    return chance


class Rows(NamedTuple):
    """Rows that one device sends per token of its own: over its NIC, and to its node's devices."""

    far: float
    near: float


def rows_of(routing: Routing, ranks: int, local: int) -> tuple[Rows, Rows]:
    """Return the rows per token, once per node and one copy per expert.

    ``ranks`` hold different experts, ``local`` of them in one node. Once per node: ``D (N - 1)/N``
    cross the network, D the expected nodes of a token, and all rows but those for the device they
    arrive at go on inside the node. A copy per expert: ``k (R - L)/R`` and ``k (L - 1)/R``.

    >>> once, copies = rows_of(Routing(16, 2), 4, 2)
    >>> round(once.far, 4), copies
    (0.7667, Rows(far=1.0, near=0.5))
    """
    nodes = ceil(ranks / local)
    spread = expected_parts(routing, nodes) * (nodes - 1) / nodes
    passed = expected_parts(routing, ranks) * (local - 1) / local
    k = routing.top_k
    return Rows(spread, passed), Rows(k * (ranks - local) / ranks, k * (local - 1) / ranks)


def exchange_pieces(
    direction: str,
    routing: Routing,
    ranks: int,
    local: int,
    *,
    scale_up_bytes_per_s: float,
    line_bytes_per_s: float,
    latency_s: float = 0.0,
) -> tuple[Piece, Piece]:
    """Return both ways to ``dispatch`` or ``combine``, per byte of one row per token of a device.

    ``t = t0 + max(near / (0.40 scale-up), far / (0.93 line))``: rows on the network and inside the
    node move at once. Low-latency kernels of one node are not asked for here.
    """
    doublings = log2(ceil(ranks / local))
    made = []
    floors = _FLOORS_S[direction]
    for rows, (floor_s, each_s) in zip(rows_of(routing, ranks, local), floors, strict=True):
        far = rows.far / (EXCHANGE_NETWORK_RATIO * line_bytes_per_s)
        near = rows.near / (_PASSED_ON * scale_up_bytes_per_s)
        made.append(
            Piece(
                t0_s=floor_s + each_s * doublings + 2.0 * latency_s,
                s_per_byte=max(near, far),
                grade="transferred",
                source=_SOURCE,
                network_s_per_byte=far,
            )
        )
    return made[0], made[1]


class ExchangeOp(LinkOp):
    """An exchange over nodes: kernels that load the network differently, for few tokens last."""

    __slots__ = ("far",)

    def __init__(
        self, name: str, count: float, pieces: tuple[Piece, ...], row_bytes: float, ranks: int
    ) -> None:
        super().__init__(name, "all_to_all", "all", count, pieces, row_bytes, ranks)
        self.far = tuple(piece.network_s_per_byte for piece in pieces)
        """Seconds of the links between nodes per byte, kernel by kernel."""

    def for_decode(self) -> ExchangeOp:
        """Return the kernel for few tokens alone."""
        made = copy(self)
        made.pieces, made.far = self.pieces[-1:], self.far[-1:]
        return made

    def network_s(self, tokens: float, decode: bool) -> float:
        """Return the seconds that one execution needs of the links between nodes."""
        moved = self.bytes_per_token * tokens
        times = [t0 + moved * slope for t0, slope in self.pieces]
        return moved * (self.far[-1] if decode else self.far[times.index(min(times))])

    def on_network(self, share: float) -> ExchangeOp:
        """Return the same exchange where the links between nodes yield ``share`` of their rate."""
        made = copy(self)
        made.pieces = tuple(
            [
                (t0, max(slope, far / share))
                for (t0, slope), far in zip(self.pieces, self.far, strict=True)
            ]
        )
        return made
