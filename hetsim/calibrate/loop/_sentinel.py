"""A kernel that never changes: it tells a noisy round from a quiet one."""

from __future__ import annotations

import time
from statistics import median

from hetsim.calibrate.loop._cases import ModelKey

__all__ = ["sentinel_s", "twin_s"]

_SIDE = 384
_PRODUCTS = 6
_COPIED_BYTES = 24 * 2**20
_REPEATS = 5


def sentinel_s() -> tuple[float, float]:
    """Return the median CPU and wall seconds of a fixed product and a fixed copy."""
    import torch

    a, b = torch.ones(_SIDE, _SIDE), torch.ones(_SIDE, _SIDE)
    source = torch.zeros(_COPIED_BYTES, dtype=torch.uint8)
    target = torch.zeros_like(source)
    cpu, wall = [], []
    for _ in range(_REPEATS + 1):
        started, started_cpu = time.perf_counter(), time.thread_time()
        for _ in range(_PRODUCTS):
            torch.mm(a, b)
        target.copy_(source)
        cpu.append(time.thread_time() - started_cpu)
        wall.append(time.perf_counter() - started)
    return median(cpu[1:]), median(wall[1:])


def twin_s(key: ModelKey, batches: tuple[int, ...] = (1, 4)) -> tuple[float, ...]:
    """Return the CPU seconds of a decode step of a model as deep as ``key`` and almost no width.

    What such a step takes beyond its kernels is the host: the interpreter between the kernels.
    """
    import torch

    from hetsim.calibrate.loop._cache import KvCache
    from hetsim.calibrate.loop._shapes import config_of, dims_of, twin_config
    from hetsim.calibrate.loop._transformer import Transformer

    dims = dims_of(twin_config(config_of(key.size)))
    model = Transformer(dims, key.format)
    codec = model.codec(key.format)
    made = []
    for batch in batches:
        caches = [KvCache.empty(dims, codec, 64) for _ in range(batch)]
        tokens = torch.ones(batch, dtype=torch.int64)
        times = []
        for _ in range(16):
            started = time.thread_time()
            model.decode(tokens, caches)
            times.append(time.thread_time() - started)
        made.append(median(times[4:]))
    return tuple(made)
