"""Projections ``[m, k] x [k, n]`` with cold weights, in every format that the library offers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hetsim.calibrate._formats import kernel_format
from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._types import Call, NotAvailable, Point, point

__all__ = ["build", "points"]

QUICK_LAYERS = (
    *((1152, 896), (896, 896), (9728, 896), (896, 4864)),
    *((960, 960), (5120, 960), (960, 2560)),
    *((2560, 2048), (2048, 2048), (11264, 2048), (2048, 5632)),
)
LAYERS = (
    *QUICK_LAYERS,
    *((16384, 2048), (2048, 8192)),
    *((4608, 3584), (37888, 3584), (3584, 18944)),
    *((6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336)),
    *((1280, 8192), (8192, 1024), (7168, 8192), (8192, 3584)),
)
"""``(n, k)`` of projections.

Source: configurations of Qwen2.5-0.5B, SmolLM2-360M, TinyLlama-1.1B, Llama-3.2-1B, Qwen2.5-7B,
Llama-3.1-8B, and Llama-3.1-70B cut by 8, as published.
"""
ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
QUICK_ROWS = (1, 4, 16, 64, 256, 512)
_FEW_LAYERS = ((1152, 896), (896, 4864), (960, 2560), (2048, 2048))
_FEW_ROWS = (1, 16, 64, 256)
FORMATS = {
    "bf16": ("torch", "onednn_packed"),
    "fp32": ("torch", "onednn_packed"),
    "tf32": ("torch",),
    "fp16": ("torch",),
    "fp8_e4m3": ("torch",),
    "int8": ("torch",),
    "bf16_w_int8": ("torch",),
    "bf16_w_int4": ("torch",),
}
"""Providers by format; the first two formats are measured at every shape, the others at some."""
_MAIN = (("bf16", "torch"), ("fp32", "torch"))
_GROUP = 64
"""Elements of k that share a scale of int4 weights."""


def points(quick: bool) -> Iterator[Point]:
    """Yield every point, formats that may be missing included."""
    layers, rows = (QUICK_LAYERS, QUICK_ROWS) if quick else (LAYERS, ROWS)
    for fmt, providers in FORMATS.items():
        for provider in providers:
            every = (fmt, provider) in _MAIN
            for n, k in layers if every else (_FEW_LAYERS if quick else layers[::2]):
                for m in _FEW_ROWS if quick and not every else rows:
                    yield _point(fmt, provider, m, n, k)


def _point(fmt: str, provider: str, m: int, n: int, k: int) -> Point:
    f = kernel_format(fmt)
    moved = n * k * f.weight_bytes + m * k * f.activation_bytes + 2.0 * m * n
    return point("gemm", "gemm", fmt, provider, "linear", 2.0 * m * n * k, moved, m=m, n=n, k=k)


def build(at: Point, bench: Bench) -> Call:
    """Return the kernel, ready to run."""
    if at.provider == "onednn_packed":
        return _packed(at, bench)
    return _BUILD.get(at.format, _linear)(at, bench)


def _sizes(at: Point) -> tuple[int, int, int]:
    return at["m"], at["n"], at["k"]


def _linear(at: Point, bench: Bench) -> Call:
    m, n, k = _sizes(at)
    linear = bench.torch.nn.functional.linear
    x, weights = bench.warm(at.format, m, k), bench.cold(at.format, n, k)
    count = len(weights)
    return lambda i: linear(x, weights[i % count])


def _tf32(at: Point, bench: Bench) -> Call:
    if not bench.device.accelerated:
        raise NotAvailable("tf32 is a format of accelerators")
    plain = _linear(at, bench)
    setting = bench.torch.set_float32_matmul_precision

    def run(i: int) -> None:
        setting("high")
        plain(i)
        setting("highest")

    return run


def _packed(at: Point, bench: Bench) -> Call:
    """Weights laid out for the kernel beforehand, as inference engines on CPUs do."""
    if bench.device.accelerated:
        raise NotAvailable("oneDNN packs weights on CPUs only")
    m, n, k = _sizes(at)
    ops = bench.torch.ops.mkldnn
    x = bench.warm(at.format, m, k)
    weights = [ops._reorder_linear_weight(w, m) for w in bench.cold(at.format, n, k)]
    run, count = ops._linear_pointwise, len(weights)
    return lambda i: run(x, weights[i % count], None, "none", [], "")


def _fp8(at: Point, bench: Bench) -> Call:
    m, n, k = _sizes(at)
    torch = bench.torch
    x, weights = bench.warm("fp8_e4m3", m, k), bench.cold("fp8_e4m3", n, k)
    scale = torch.ones((), dtype=torch.float32, device=bench.place)
    count, multiply = len(weights), torch._scaled_mm

    def run(i: int) -> Any:
        w = weights[i % count].t()
        return multiply(x, w, scale_a=scale, scale_b=scale, out_dtype=torch.bfloat16)

    return run


def _int8(at: Point, bench: Bench) -> Call:
    m, n, k = _sizes(at)
    if bench.device.accelerated and m <= 16:
        raise NotAvailable("int8 needs more than 16 rows here")
    x, weights = bench.warm("int8", m, k), bench.cold("int8", n, k)
    count, multiply = len(weights), bench.torch._int_mm
    return lambda i: multiply(x, weights[i % count].t())


def _weight_int8(at: Point, bench: Bench) -> Call:
    m, n, k = _sizes(at)
    x, weights = bench.warm("bf16", m, k), bench.cold("int8", n, k)
    scales, count = bench.warm("bf16", n), len(weights)
    multiply = bench.torch.ops.aten._weight_int8pack_mm
    return lambda i: multiply(x, weights[i % count], scales)


def _weight_int4(at: Point, bench: Bench) -> Call:
    m, n, k = _sizes(at)
    torch = bench.torch
    x = bench.warm("bf16", m, k)
    scales = bench.warm("bf16", k // _GROUP, n, 2)
    aten = torch.ops.aten
    if bench.device.accelerated:
        pack, multiply = aten._convert_weight_to_int4pack, aten._weight_int4pack_mm
        weights = [pack(w, 8) for w in bench.cold("uint8", n, k // 2)]
    else:
        # The packed form of a CPU is a plain array of bytes, so that nothing need be packed.
        multiply, weights = aten._weight_int4pack_mm_for_cpu, bench.cold("uint8", n, k // 2)
    count = len(weights)
    return lambda i: multiply(x, weights[i % count], _GROUP, scales)


_BUILD: dict[str, Callable[[Point, Bench], Call]] = {
    "tf32": _tf32,
    "fp8_e4m3": _fp8,
    "int8": _int8,
    "bf16_w_int8": _weight_int8,
    "bf16_w_int4": _weight_int4,
}
