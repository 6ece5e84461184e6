"""Sums over one pipeline stage, remembered by number of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hetsim.costs._compile import Stage
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
        "_head_parts",
        "_rank_parts",
        "_shared_parts",
        "attention",
        "slopes",
        "stage",
        "windows",
    )

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.attention = stage.attention
        self.windows = stage.windows
        self.slopes = _slopes(stage)
        self._rank_parts: dict[float, Part] = {}
        self._head_parts: dict[float, Part] = {}
        self._shared_parts: dict[float, Part] = {}

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

    def shared_part(self, tokens: float) -> Part:
        """Return what depends on the tokens of all DP ranks: routed experts and their exchange."""
        if not self.stage.shared:
            return _NOTHING
        part = self._shared_parts.get(tokens)
        if part is None:
            part = _total(self.stage.shared, tokens)
            remember(self._shared_parts, tokens, part)
        return part

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


def _slopes(stage: Stage) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Return seconds, FLOPs and bytes per context token of decode, by window, on one device."""
    groups = len(stage.windows)
    seconds, flops, moved = [0.0] * groups, [0.0] * groups, [0.0] * groups
    for op in stage.attention:
        for slope in op.slopes:
            seconds[slope.window] += op.count * slope.time_s
            flops[slope.window] += op.count * slope.flops
            moved[slope.window] += op.count * slope.bytes
    return tuple(seconds), tuple(flops), tuple(moved)


def _total(ops: tuple[TokenOp, ...], tokens: float) -> Part:
    time_s = weights = 0.0
    buckets = [0.0] * len(BOUNDS)
    for op in ops:
        each, bound, _, _, read = op.evaluate(tokens)
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
