"""Sums over one pipeline stage, remembered by number of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hetsim.costs._compile import Stage
from hetsim.costs._exchange import ExchangeOp
from hetsim.costs._operators import BOUNDS, TokenOp
from hetsim.costs._types import Chunk

__all__ = ["Attended", "Part", "StageSums", "added", "remember"]

_CACHE = 16384
"""Entries that a cache holds before it is emptied: rebuilding costs microseconds each."""


class Part(NamedTuple):
    """Some operators together, on one device: seconds, weight bytes read, seconds by bound."""

    time_s: float
    weights: float
    buckets: tuple[float, ...]


_NOTHING = Part(0.0, 0.0, (0.0,) * len(BOUNDS))


class Attended(NamedTuple):
    """Attention of a stage on one device: fixed seconds, seconds of work, FLOPs, KV bytes read."""

    fixed_s: float
    work_s: float
    flops: float
    bytes: float


class StageSums:
    """Adds up the operators of a stage; holds caches, decides nothing."""

    __slots__ = (
        "_decode_parts",
        "_head_parts",
        "_rank_parts",
        "_shared_parts",
        "_slopes",
        "attention",
        "decode_shared",
        "slopes",
        "stage",
        "windows",
    )

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.attention = stage.attention
        self.windows = stage.windows
        self.slopes = _slopes(stage)
        self._slopes: dict[int, Slopes] | None = {} if _walks(stage) else None
        self._rank_parts: dict[float, Part] = {}
        self._head_parts: dict[float, Part] = {}
        self._shared_parts: dict[Any, Part] = {}
        exchanges = any(isinstance(op, ExchangeOp) for op in stage.shared)
        self._decode_parts: dict[Any, Part] = {} if exchanges else self._shared_parts
        self.decode_shared = stage.shared
        """The shared operators of steps without prompts."""
        if exchanges:
            self.decode_shared = tuple(
                [op.for_decode() if isinstance(op, ExchangeOp) else op for op in stage.shared]
            )

    def rank_part(self, tokens: float) -> Part:
        """Return what depends on the tokens of one DP rank."""
        part = self._rank_parts.get(tokens)
        if part is None:
            part = _total(self.stage.rank, tokens)
            remember(self._rank_parts, tokens, part)
        return part

    def head_part(self, logits: float) -> Part:
        """Return what depends on the rows of logits of one DP rank: head and sampling."""
        part = self._head_parts.get(logits)
        if part is None:
            part = _total(self.stage.logits, logits)
            remember(self._head_parts, logits, part)
        return part

    def own_part(self, tokens: float, logits: float) -> Part:
        """Return :meth:`rank_part` and :meth:`head_part` together."""
        body, head = self.rank_part(tokens), self.head_part(logits)
        return Part(
            body.time_s + head.time_s,
            body.weights + head.weights,
            added(body.buckets, head.buckets),
        )

    def shared_part(self, tokens: float, sent: float = 0.0) -> Part:
        """Return what depends on the tokens of all DP ranks: routed experts and their exchange.

        The exchange takes as long as the rank with the most tokens needs for its own: as if all
        ranks had as many, ``sent`` together.
        """
        if not self.stage.shared:
            return _NOTHING
        return _shared(self._shared_parts, self.stage.shared, tokens, sent)

    def decode_part(self, tokens: float, sent: float = 0.0) -> Part:
        """Return :meth:`shared_part` of a step without prompts."""
        if not self.stage.shared:
            return _NOTHING
        return _shared(self._decode_parts, self.decode_shared, tokens, sent)

    def slopes_at(self, batch: int) -> Slopes:
        """Return seconds, FLOPs and bytes per token of context among ``batch`` sequences.

        ``slopes`` are those of many sequences: the least.
        """
        if self._slopes is None:
            return self.slopes
        found = self._slopes.get(batch)
        if found is None:
            found = (_seconds_at(self.stage, batch), *self.slopes[1:])
            remember(self._slopes, batch, found)
        return found

    def prompts(self, chunks: Sequence[Chunk]) -> Attended:
        """Return the attention of prompt chunks, all of them once through the stage."""
        fixed = seconds = flops = moved = 0.0
        past = 0
        for _, old in chunks:
            past += old
        for op in self.attention:
            body, work = op.prompts(chunks)
            fixed += op.count * op.prefill_t0
            seconds += op.count * body
            flops += op.count * work
            moved += op.count * op.kv_bytes * past
        return Attended(fixed, seconds, flops, moved)

    def decodes(self, batch: int) -> Attended:
        """Return the part of decode attention that does not depend on context."""
        fixed = seconds = flops = moved = 0.0
        if batch > 0:
            for op in self.attention:
                fixed += op.count * op.decode_t0
                seconds += op.count * op.sequence_s * batch
                flops += op.count * op.sequence_flops * batch
                moved += op.count * op.sequence_bytes * batch
        return Attended(fixed, seconds, flops, moved)


Slopes = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
"""Seconds, FLOPs and bytes per token of context, each by window."""


def _walks(stage: Stage) -> bool:
    return any(op.walks for op in stage.attention)


def _seconds_at(stage: Stage, batch: int) -> tuple[float, ...]:
    """Return the seconds per context token of decode among ``batch`` sequences, by window."""
    seconds = [0.0] * len(stage.windows)
    for op in stage.attention:
        for slope in op.slopes:
            seconds[slope.window] += op.count * op.slope_s(slope, batch)
    return tuple(seconds)


def _shared(parts: dict[Any, Part], ops: tuple[TokenOp, ...], tokens: float, sent: float) -> Part:
    """Return a part of operators that all ranks share, remembered."""
    key = tokens if sent <= tokens else (tokens, sent)
    part = parts.get(key)
    if part is None:
        part = _total(ops, tokens, sent)
        remember(parts, key, part)
    return part


def _slopes(stage: Stage) -> Slopes:
    """Return seconds, FLOPs and bytes per context token of decode, by window, on one device."""
    groups = len(stage.windows)
    seconds, flops, moved = [0.0] * groups, [0.0] * groups, [0.0] * groups
    for op in stage.attention:
        for slope in op.slopes:
            seconds[slope.window] += op.count * slope.time_s
            flops[slope.window] += op.count * slope.flops
            moved[slope.window] += op.count * slope.bytes
    return tuple(seconds), tuple(flops), tuple(moved)


def _total(ops: tuple[TokenOp, ...], tokens: float, sent: float = 0.0) -> Part:
    time_s = weights = 0.0
    buckets = [0.0] * len(BOUNDS)
    for op in ops:
        own = sent if sent > tokens and op.kind == "all_to_all" else tokens
        each, bound, _, _, read = op.evaluate(own)
        count = op.count
        spent = count * each
        time_s += spent
        weights += count * read
        buckets[bound] += spent
    return Part(time_s, weights, tuple(buckets))


def added(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    """Return the sum of two rows of buckets."""
    return tuple([x + y for x, y in zip(a, b, strict=True)])


def remember(cache: dict[Any, Any], key: object, value: object) -> None:
    """Enter a value in a cache of bounded size."""
    if len(cache) >= _CACHE:
        cache.clear()
    cache[key] = value
