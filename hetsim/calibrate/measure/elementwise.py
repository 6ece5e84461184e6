"""What a layer does between its matrices: norms, activation, rotation, residual, KV write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._types import Call, Point, point

__all__ = ["build", "points"]

COLUMNS = (896, 2048, 4096)
ROWS = (1, 4, 16, 64, 256, 1024, 4096)
_HEAD = 64
PASSES = {"rms_norm": 2.0, "silu_mul": 3.0, "rope": 2.0, "residual_add": 3.0, "kv_write": 2.0}
"""How often an element is read or written by one pass of each operator."""
_VOCABULARY = 32000


def points(quick: bool) -> Iterator[Point]:
    """Yield every point."""
    for op, passes in {**PASSES, "embedding": 2.0}.items():
        for columns in COLUMNS[:2] if quick else COLUMNS:
            for rows in ROWS[:6:2] + ROWS[5:6] if quick else ROWS:
                for fmt in ("bf16",) if quick else ("bf16", "fp32"):
                    each = passes * (4.0 if fmt == "fp32" else 2.0)
                    yield point(
                        "elementwise",
                        "elementwise",
                        fmt,
                        "torch",
                        op,
                        0.0,
                        rows * columns * each,
                        rows=rows,
                        columns=columns,
                        passes=each,
                    )


def build(at: Point, bench: Bench) -> Call:
    """Return the kernel, ready to run; activations are as warm as their size allows."""
    return _BUILD[at.op](at, bench, at["rows"], at["columns"])


def _rms_norm(at: Point, bench: Bench, rows: int, columns: int) -> Call:
    x, weight = bench.warm(at.format, rows, columns), bench.warm(at.format, columns)
    norm = bench.torch.nn.functional.rms_norm
    return lambda i: norm(x, (columns,), weight, 1e-5)


def _silu_mul(at: Point, bench: Bench, rows: int, columns: int) -> Call:
    gate, up = (bench.warm(at.format, rows, columns) for _ in range(2))
    silu = bench.torch.nn.functional.silu
    return lambda i: silu(gate) * up


def _rope(at: Point, bench: Bench, rows: int, columns: int) -> Call:
    """Rotate halves, as Hugging Face models do."""
    torch = bench.torch
    x = bench.warm(at.format, 1, columns // _HEAD, rows, _HEAD)
    cos, sin = (bench.warm(at.format, 1, 1, rows, _HEAD) for _ in range(2))
    half = _HEAD // 2

    def run(i: int) -> Any:
        turned = torch.cat((-x[..., half:], x[..., :half]), dim=-1)
        return x * cos + turned * sin

    return run


def _residual_add(at: Point, bench: Bench, rows: int, columns: int) -> Call:
    x, y = (bench.warm(at.format, rows, columns) for _ in range(2))
    return lambda i: x + y


def _kv_write(at: Point, bench: Bench, rows: int, columns: int) -> Call:
    x = bench.warm(at.format, rows, columns)
    places = bench.cold(at.format, rows, columns)
    count = len(places)
    return lambda i: places[i % count].copy_(x)


def _embedding(at: Point, bench: Bench, rows: int, columns: int) -> Call:
    torch = bench.torch
    table = bench.warm(at.format, 1, columns).expand(_VOCABULARY, columns).contiguous()
    ids = torch.arange(rows, device=bench.place) * 7919 % _VOCABULARY
    look_up = torch.nn.functional.embedding
    return lambda i: look_up((ids + i * 31) % _VOCABULARY, table)


_BUILD: dict[str, Callable[[Point, Bench, int, int], Call]] = {
    "rms_norm": _rms_norm,
    "silu_mul": _silu_mul,
    "rope": _rope,
    "residual_add": _residual_add,
    "kv_write": _kv_write,
    "embedding": _embedding,
}
