"""Kernels as the decoder of the closed loop calls them: own caches, static scales, small kernels.

They are measured when the loop asks for them and are no part of a sweep: their caller decides how
they are batched, and that is what is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._types import Call, Point, point

__all__ = [
    "FLUSH",
    "attention_point",
    "build",
    "convert_point",
    "flush_point",
    "layer_point",
    "points",
]

_WIDTH = {"fp32": 4.0, "bf16": 2.0, "int8": 1.0, "fp8_e4m3": 1.0}
_FAMILY = "decoder"
_SAMPLE_TOKENS = 8
FLUSH = 1024
"""Side of the projection that goes before a kernel, as it does in a layer: 2 MB of weights leave
neither operands nor the code of the kernel in the nearer caches."""


def points(quick: bool) -> Iterator[Point]:
    """Yield nothing: the loop states its points."""
    yield from ()


def attention_point(
    fmt: str, batch: int, context: int, heads: int, kv_heads: int, dim: int
) -> Point:
    """Return decode attention of ``batch`` sequences, one call each, over caches in ``fmt``."""
    read = float(batch * context * dim)
    return point(
        _FAMILY,
        "attention_decode",
        fmt,
        "torch",
        "own_caches",
        4.0 * read * heads,
        2.0 * read * kv_heads * _WIDTH[fmt],
        batch=batch,
        context=context,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=dim,
    )


def flush_point(fmt: str) -> Point:
    """Return the projection that precedes attention, alone: to be taken off again."""
    moved = FLUSH * FLUSH * _WIDTH[fmt]
    return point(_FAMILY, "elementwise", fmt, "torch", "flush", 0.0, moved, rows=1, columns=FLUSH)


def convert_point(source: str, target: str, tokens: int, kv_heads: int, dim: int) -> Point:
    """Return the conversion of one layer's KV of ``tokens`` tokens, with static scales."""
    elements = 2.0 * tokens * kv_heads * dim
    each = _WIDTH[source] + _WIDTH[target]
    return point(
        _FAMILY,
        "convert",
        f"{source}_to_{target}",
        "torch",
        "static_scales",
        0.0,
        elements * each,
        rows=tokens,
        columns=2 * kv_heads * dim,
        passes=each,
        kv_heads=kv_heads,
        head_dim=dim,
    )


def layer_point(
    fmt: str,
    tokens: int,
    hidden: int,
    inter: int,
    heads: int,
    kv_heads: int,
    dim: int,
    op: str = "layer",
) -> Point:
    """Return all small kernels of one layer together: norms, rotation, KV write, gate, residuals.

    For few tokens they are timed between the layer's projections (``between``), whose own time
    (``projections``) is to be taken off; for many, one after the other (``layer``). The bytes are
    those that a cost model books for a layer: 14 passes over a hidden row, and KV.
    """
    width = _WIDTH[fmt]
    moved = tokens * width * (14.0 * hidden + 2.0 * kv_heads * dim)
    return point(
        _FAMILY,
        "elementwise",
        fmt,
        "torch",
        op,
        0.0,
        moved,
        rows=tokens,
        columns=hidden,
        passes=moved / (tokens * hidden),
        hidden=hidden,
        inter=inter,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=dim,
    )


def build(at: Point, bench: Bench) -> Call:
    """Return the kernel, ready to run."""
    return _BUILD[at.op](at, bench)


def _wide(fmt: str) -> str:
    return "fp32" if fmt == "fp32" else "bf16"


def _attention(at: Point, bench: Bench) -> Call:
    from hetsim.calibrate.loop import Codec, KvCache, attend_each

    batch, context = at["batch"], at["context"]
    shape = at["kv_heads"], at["head_dim"]
    wide = _wide(at.format)
    codec = Codec(at.format, bench.warm(wide, 1, 2, _SAMPLE_TOKENS, *shape))
    stored = bench.cold(at.format, batch, 1, 2, context, *shape)
    q = bench.warm(wide, batch, at["heads"], at["head_dim"])
    pair = bench.warm(wide, 2, batch, *shape)
    # The token that the step itself writes is the last of the context.
    made = [[KvCache(codec, part, context - 1) for part in block] for block in stored]
    count, flush = len(made), _flush(at, bench)

    def run(i: int) -> Any:
        flush(i)
        return attend_each(0, q, pair, made[i % count])

    return run


def _flush(at: Point, bench: Bench) -> Call:
    from torch.nn.functional import linear

    wide = _wide(at.format)
    x, weights = bench.warm(wide, 1, FLUSH), bench.cold(wide, FLUSH, FLUSH)
    count = len(weights)
    return lambda i: linear(x, weights[i % count])


def _convert(at: Point, bench: Bench) -> Call:
    from hetsim.calibrate.loop import Codec

    source, target = at.format.split("_to_")
    shape = at["rows"], at["kv_heads"], at["head_dim"]
    narrow = target if _WIDTH[target] < _WIDTH[source] else source
    codec = Codec(narrow, bench.warm(_wide(source), 1, 2, _SAMPLE_TOKENS, *shape[1:]))
    inputs, outputs = bench.cold(source, 2, *shape), bench.cold(target, 2, *shape)
    count = min(len(inputs), len(outputs))
    change = codec.encode if narrow == target else codec.decode
    return lambda i: outputs[i % count].copy_(change(0, inputs[i % count]))


class _Parts:
    """The operands of one layer."""

    def __init__(self, at: Point, bench: Bench) -> None:
        fmt, rows, self.hidden, dim = at.format, at["rows"], at["hidden"], at["head_dim"]
        heads, kv_heads, inter = at["heads"], at["kv_heads"], at["inter"]
        features = heads + 2 * kv_heads
        self.ends = heads, heads + kv_heads
        self.rows, self.dim = rows, dim
        self.x, self.norm = bench.warm(fmt, rows, self.hidden), bench.warm(fmt, self.hidden)
        self.both = bench.warm(fmt, rows, features, dim)
        self.gates, self.gated = bench.warm(fmt, rows, 2 * inter), bench.warm(fmt, rows, inter)
        self.attended = bench.warm(fmt, rows, heads * dim)
        self.turn = bench.warm(fmt, rows, 1, dim), bench.warm(fmt, rows, 1, dim)
        self.pairs = bench.cold(fmt, 2, rows, kv_heads, dim)
        self.weights = [
            bench.cold(fmt, n, k)
            for n, k in (
                (features * dim, self.hidden),
                (self.hidden, heads * dim),
                (2 * inter, self.hidden),
                (self.hidden, inter),
            )
        ]


def _layer(at: Point, bench: Bench) -> Call:
    """Return a layer without its matrices, in the order in which a layer calls it."""
    parts = _Parts(at, bench)
    nothing: Callable[..., Any] = lambda which, i, x: None  # noqa: E731
    return lambda i: _small(parts, i, nothing)


def _between(at: Point, bench: Bench) -> Call:
    """Return the same small kernels, each where it stands between the projections."""
    from torch.nn.functional import linear

    parts = _Parts(at, bench)

    def project(which: int, i: int, x: Any) -> Any:
        weights = parts.weights[which]
        return linear(x, weights[i % len(weights)])

    return lambda i: _small(parts, i, project)


def _projections(at: Point, bench: Bench) -> Call:
    from torch.nn.functional import linear

    parts = _Parts(at, bench)
    inputs = (parts.x, parts.attended, parts.x, parts.gated)

    def run(i: int) -> Any:
        for x, weights in zip(inputs, parts.weights, strict=True):
            made = linear(x, weights[i % len(weights)])
        return made

    return run


def _small(parts: _Parts, i: int, project: Callable[[int, int, Any], Any]) -> Any:
    from torch.nn.functional import rms_norm, silu

    from hetsim.calibrate.loop import rotated

    shape, pair = (parts.hidden,), parts.pairs[i % len(parts.pairs)]
    project(0, i, rms_norm(parts.x, shape, parts.norm, 1e-5))
    first, last = parts.ends
    pair[0] = rotated(parts.both[:, first:last], *parts.turn)
    pair[1] = parts.both[:, last:]
    rotated(parts.both[:, :first], *parts.turn)
    project(1, i, parts.attended)
    x = parts.x + parts.x
    project(2, i, rms_norm(x, shape, parts.norm, 1e-5))
    gate, up = parts.gates.chunk(2, dim=-1)
    project(3, i, silu(gate).mul_(up))
    return x + parts.x


_BUILD: dict[str, Callable[[Point, Bench], Call]] = {
    "own_caches": _attention,
    "static_scales": _convert,
    "flush": _flush,
    "layer": _layer,
    "between": _between,
    "projections": _projections,
}
