"""Attention of one layer kind: affine in context for decode, chunk by chunk for prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hetsim.costs._calibration import Calibration, Parameters
from hetsim.costs._roles import Roles
from hetsim.costs._roofline import head_factor, smooth_max
from hetsim.costs._types import Chunk
from hetsim.hardware import Accelerator
from hetsim.model import Attention, attention_of

__all__ = ["AttentionOp", "Slope", "windows_of"]


class Slope(NamedTuple):
    """What one context token of one sequence costs in decode, one layer: seconds, FLOP, bytes."""

    window: int
    """Index into the windows of the model."""
    time_s: float
    """The least, among so many sequences that blocks walking their context are no bound."""
    flops: float
    bytes: float
    bound: int
    compute_s: float
    memory_s: float
    walk_s: float
    """Of one block, while those of other sequences walk beside it."""


def windows_of(attentions: list[Attention]) -> tuple[int | None, ...]:
    """Return the distinct context limits of some attention layers: unlimited first, then rising.

    >>> full = Attention(kind="gqa", heads=1, kv_heads=1, head_dim=8)
    >>> windows_of([full, Attention(kind="gqa", heads=1, kv_heads=1, head_dim=8, window=128)])
    (None, 128)
    """
    limits: set[int | None] = set()
    for attention in attentions:
        kind = attention_of(attention)
        if kind.decode_kv_elements_per_context_token(1):
            limits.add(kind.context_limit)
        if kind.index_elements_per_context_token(1):
            limits.add(None)
    found = sorted(limit for limit in limits if limit is not None)
    return (None, *found) if None in limits or not found else tuple(found)


def _kv_factor(attention: Attention, decode: Parameters, tp: int) -> float:
    """Return the time of a byte of KV in units of the usual: head size, lone query heads."""
    if attention.kind != "gqa":
        return 1.0
    factor = head_factor(decode.head_64, decode.head_256, float(attention.head_dim))
    alone = attention.heads / tp <= max(1.0, attention.kv_heads / tp)
    return factor * decode.lone_head if alone else factor


def _padding(attention: Attention, decode: Parameters, tp: int) -> float:
    """Return how many rows a matrix tile computes for each query head of a rank."""
    heads = attention.heads / tp
    return max(1.0, decode.head_tile / heads) if heads else 1.0


class AttentionOp:
    """Scores and values of ``count`` layers of one kind on one device, projections excluded.

    Decode: ``t0 + batch * sequence_s + sum(slope * context)``, with the smooth maximum taken on
    the coefficients, so that the time is affine in context at a fixed batch. The slope has the
    walk of a block as a part, ``walk / batch``: :meth:`slope_s`.

    Prompts: ``t0 + norm_p(bytes / (bw e_m), norm_fill(f (flops + lost), f few) / (peak e_c))``.
    ``lost`` is ``new s0/2`` context tokens, which for a prompt without past is the familiar factor
    ``1 + s0/s``; ``few`` are ``q0/h`` mean queries of the deepest chunk, for too few query rows.
    ``f`` is the factor of the head size and of what KV heads add to their query heads. Bytes:
    queries and outputs, and the KV of the context.
    """

    __slots__ = (
        "_bytes_new",
        "_bytes_past",
        "_fill_p",
        "_flops_each",
        "_kind",
        "_limit",
        "_lost",
        "_p",
        "_rows",
        "_s_per_byte",
        "_s_per_flop",
        "_tp",
        "count",
        "decode",
        "decode_format",
        "decode_t0",
        "kv_bytes",
        "name",
        "prefill",
        "prefill_format",
        "prefill_t0",
        "sequence_bound",
        "sequence_bytes",
        "sequence_flops",
        "sequence_s",
        "slopes",
        "walks",
    )

    def __init__(
        self,
        attention: Attention,
        count: float,
        tp: int,
        roles: Roles,
        windows: tuple[int | None, ...],
        accelerator: Accelerator,
        calibration: Calibration,
        floor_scale: float,
    ) -> None:
        self._kind = attention_of(attention)
        self._tp = tp
        self._limit = self._kind.context_limit
        self.count = count
        self.name = attention.kind + (f"_window{self._limit}" if self._limit else "")
        suffix = "_mla" if attention.kind == "mla" else ""
        decode = calibration.operator(f"attention_decode{suffix}", roles.kv.name)
        prefill = calibration.prompt(f"attention_prefill{suffix}", roles.wide.name, roles.kv.name)
        self.decode, self.prefill = decode, prefill
        self.decode_format, self.prefill_format = roles.kv.name, roles.wide.name
        self.decode_t0 = decode.t0_s * floor_scale
        self.prefill_t0 = prefill.t0_s * floor_scale
        peak = accelerator.peaks_flop_per_s[roles.wide.roof]
        bandwidth = accelerator.require("memory_bytes_per_s", "step times")
        self.kv_bytes = self._kind.kv_elements_per_token(tp) * roles.kv.bytes_per_element
        self._set_prompt(attention, prefill, roles.wide.bytes_per_element, peak, bandwidth)
        self._set_sequence(attention, decode, peak, bandwidth)
        read_s = _kv_factor(attention, decode, tp) / (bandwidth * decode.e_m)
        flop_s = _padding(attention, decode, tp) / (peak * decode.e_c)
        self._set_slopes(decode, flop_s, read_s, roles.kv.bytes_per_element, windows)

    def _set_prompt(
        self, attention: Attention, prefill: Parameters, wide: float, peak: float, bandwidth: float
    ) -> None:
        heads = attention.heads / self._tp
        if attention.kind == "mla":
            both = attention.nope_dim + attention.rope_dim + attention.v_head_dim
            # Keys and values are expanded per head before the kernel reads them.
            self._bytes_past = heads * both * wide
            self._bytes_new = 2.0 * self._bytes_past
        else:
            both = attention.head_dim + (attention.v_head_dim or attention.head_dim)
            self._bytes_past = self.kv_bytes
            self._bytes_new = self.kv_bytes + heads * both * wide
        factor = head_factor(prefill.head_64, prefill.head_256, 0.5 * both)
        if attention.kind == "gqa":
            kv_heads = max(1.0, attention.kv_heads / self._tp)
            factor *= 1.0 + kv_heads * prefill.kv0 / (heads * both)
        self._fill_p = prefill.fill_p
        self._s_per_flop = factor / (peak * prefill.e_c)
        self._s_per_byte = 1.0 / (bandwidth * prefill.e_m)
        self._p = prefill.p
        self._rows = prefill.q0 / heads if heads else 0.0
        # A linear layer reads no context, so that nothing is lost per context token.
        reads = self._kind.decode_kv_elements_per_context_token(self._tp) > 0.0
        self._flops_each = self._kind.prefill_flops(1, 0, self._tp) if reads else 0.0
        self._lost = 0.5 * prefill.s0_tokens * self._flops_each

    def _set_sequence(
        self, attention: Attention, decode: Parameters, peak: float, bandwidth: float
    ) -> None:
        """Set what one sequence costs whatever its context: its heads, its linear state."""
        self.sequence_flops = float(self._kind.decode_flops_constant(self._tp))
        self.sequence_bytes = 2.0 * self._kind.state_bytes(self._tp)  # read and written
        compute = self.sequence_flops / (peak * decode.e_c)
        memory = self.sequence_bytes / (bandwidth * decode.e_m)
        self.sequence_s = smooth_max(compute, memory, decode.p)
        self.sequence_bound = 0 if compute > memory else 1
        if self._kind.decode_kv_elements_per_context_token(self._tp):
            kv_heads = max(1.0, attention.kv_heads / self._tp)
            self.sequence_s += decode.per_kv_head_s * kv_heads
            self.sequence_s += decode.per_head_s * attention.heads / self._tp

    def _set_slopes(
        self,
        decode: Parameters,
        flop_s: float,
        read_s: float,
        element: float,
        windows: tuple[int | None, ...],
    ) -> None:
        kind, tp = self._kind, self._tp
        read = (
            (
                self._limit,
                kind.decode_flops_per_context_token(tp),
                kind.decode_kv_elements_per_context_token(tp) * element,
                decode.walk_s,
            ),
            (
                None,
                kind.index_flops_per_context_token(tp),
                kind.index_elements_per_context_token(tp) * element,
                0.0,  # an index is short and read in pieces
            ),
        )
        slopes = []
        for window, flops, moved, walk in read:
            if moved <= 0.0:
                continue
            compute, memory = flops * flop_s, moved * read_s
            time_s = smooth_max(compute, memory, decode.p)
            bound = 0 if compute > memory else 1
            at = windows.index(window)
            slopes.append(Slope(at, time_s, flops, moved, bound, compute, memory, walk))
        self.slopes = tuple(slopes)
        self.walks = any(slope.walk_s > 0.0 for slope in slopes)

    def slope_s(self, slope: Slope, batch: int) -> float:
        """Return the seconds per token of context among ``batch`` sequences.

        ``norm_p(compute, norm_walk_p(memory, walk / batch))``: one block walks the context of a
        sequence, and the blocks of ``batch`` sequences of about one length walk side by side.
        """
        if slope.walk_s <= 0.0:
            return slope.time_s
        walk = slope.walk_s / max(1, batch)
        memory = smooth_max(slope.memory_s, walk, self.decode.walk_p)
        return smooth_max(slope.compute_s, memory, self.decode.p)

    @property
    def runs(self) -> bool:
        """Whether there is anything to compute beside the projections."""
        return bool(self.slopes) or self.sequence_bytes > 0.0

    def prompts(self, chunks: Sequence[Chunk]) -> tuple[float, float]:
        """Return seconds (without t0) and FLOP of prompt chunks in one layer."""
        flops = deepest = moved = 0.0
        tokens = 0
        limit, flop_of, tp = self._limit, self._kind.prefill_flops, self._tp
        for new, past in chunks:
            flops += flop_of(new, past, tp)
            tokens += new
            read, depth = past, past + 0.5 * (new + 1)
            if limit is not None:
                read, depth = min(read, limit), min(depth, limit)
            if depth > deepest:
                deepest = depth
            moved += self._bytes_new * new + self._bytes_past * read
        # Too few query rows cost as much as the deepest chunk's mean query.
        few = self._rows * (deepest * self._flops_each + self._lost)
        work = flops + tokens * self._lost
        work = work + few if self._fill_p == 1.0 else smooth_max(work, few, self._fill_p)
        compute = work * self._s_per_flop
        return smooth_max(compute, moved * self._s_per_byte, self._p), flops
