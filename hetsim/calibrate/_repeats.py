"""Which of several measurements of one projection counts: from memory, and by the faster library.

A benchmark repeats a projection over some copies of its weights. Where all copies fit in the last-
level cache, it shows the cache; serving reads every layer's weights from memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._formats import kernel_format
from hetsim.calibrate._nominal import Nominal

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["from_memory", "from_memory_part", "mark_outrun", "resident_share", "working_set"]

_COPIES = {"sglang": 6.0, "vllm": 6.0, "rocm": 1e3, "rocm shuffled": 1e3}
"""Copies of the weights that a benchmark walks through, by the name of its framework.

Source: collectors of aiconfigurator for SGLang and vLLM (six; vLLM one for formats with block
scales) and for TensorRT-LLM (as many as fill the cache, at most five); ROCm's tuner walks through
most of the memory.
"""
_ONE_COPY = ("fp8_block", "nvfp4")
_MOST_FILLING = 5.0
_FITS, _MISSES = 0.8, 1.15
"""Working sets in cache sizes: up to the first all is found in the cache, from the second nothing.

Source: rows of up to 16 tokens on L40S (96 MiB), where all three frameworks fall from 1.5 to 2.5
times the memory's bandwidth to 0.8 times between these.
"""
_MUCH_COLDER = 0.25
_SLOWER, _LEAST_SHARED = 1.10, 100


def working_set(frame: pd.DataFrame, nominal: Nominal) -> Any:
    """Return the bytes that the benchmark behind each row of projections walks through.

    All copies of the weights, and the activations: one set of them, for SGLang one per copy.
    """
    import numpy as np

    weights = np.zeros(len(frame))
    copies = np.ones(len(frame))
    framework, formats = frame["framework"].astype(str).to_numpy(), frame["format"].to_numpy()
    for fmt in set(formats):
        rows = formats == fmt
        size = frame["n"].to_numpy(float)[rows] * frame["k"].to_numpy(float)[rows]
        weights[rows] = size * kernel_format(str(fmt)).weight_bytes
        copies[rows] = [_COPIES.get(name, 1.0) for name in framework[rows]]
        if fmt in _ONE_COPY:
            copies[rows & (framework == "vllm")] = 1.0
    filling = framework == "trtllm"
    needed = np.ceil(nominal.cache_capacity_bytes / np.floor(weights[filling]))
    copies[filling] = np.clip(needed, 1.0, _MOST_FILLING)
    activations = frame["bytes"].to_numpy(float) - weights
    return copies * weights + np.where(framework == "sglang", copies, 1.0) * activations


def resident_share(resident: Any, nominal: Nominal) -> Any:
    """Return the part of a working set that comes from memory each time it is walked through.

    >>> import numpy as np
    >>> device = Nominal(name="", bandwidth_bytes_per_s=1.0, peaks_flop_per_s={}, cache_bytes=1e6)
    >>> [float(v) for v in resident_share(2**20 * np.array([0.5, 0.975, 1.2]), device).round(3)]
    [0.0, 0.5, 1.0]
    """
    return from_memory_part(resident, nominal.cache_capacity_bytes, _FITS, _MISSES)


def from_memory_part(moved: Any, cache: float, fits: float, gone: float) -> Any:
    """Return the part of ``moved`` bytes that does not come from a cache of ``cache`` bytes.

    None up to ``fits`` cache sizes, all from ``gone`` on, linear between; all without a cache.

    >>> import numpy as np
    >>> [float(v) for v in from_memory_part(np.array([0.5, 1.0, 2.0]), 1.0, 0.5, 1.5)]
    [0.0, 0.5, 1.0]
    """
    import numpy as np

    if not cache:
        return np.ones(len(moved))
    return np.clip((moved / cache - fits) / (gone - fits), 0.0, 1.0)


def from_memory(frame: pd.DataFrame, nominal: Nominal) -> Any:
    """Return which rows to keep: not those from the cache where another one came from memory.

    Only where memory bounds the shape at nominal rates; elsewhere the cache hardly matters.
    """
    cold = frame["cold"]
    shape = [frame[name] for name in ("format", "m", "n", "k")]
    coldest = cold.groupby(shape).transform("max")
    peaks = {fmt: nominal.peak(kernel_format(str(fmt)).roof) for fmt in set(frame["format"])}
    compute_s = frame["flops"] / frame["format"].map(peaks)
    bound = compute_s < frame["bytes"] / nominal.bandwidth_bytes_per_s
    return ~bound | (cold >= coldest - _MUCH_COLDER)


def mark_outrun(
    frame: pd.DataFrame, shape: Sequence[str] = ("m", "n", "k"), by: str = "framework"
) -> Any:
    """Return which rows stem from a slower framework alone (or ``source``: one version of one).

    A framework is slower if, over at least 100 shapes that another one measured too, it takes 10 %
    longer in the median than the fastest. At shapes that it alone measured it says nothing about
    the fastest kernel.
    """
    import numpy as np
    import pandas as pd

    names = list(shape)
    outrun = pd.Series(False, index=frame.index)
    for _, part in frame.groupby("format", sort=True):
        best = part.pivot_table("time_s", index=names, columns=by, aggfunc="min")
        several = best[best.notna().sum(axis=1) >= 2]
        for name in best.columns:
            shared = several[several[name].notna()]
            others = shared.drop(columns=name).min(axis=1)
            if len(shared) < _LEAST_SHARED or np.median(shared[name] / others) <= _SLOWER:
                continue
            alone = best.index[best[name].notna() & (best.notna().sum(axis=1) == 1)]
            at = pd.MultiIndex.from_frame(part[names]).isin(alone)
            outrun[part.index[at]] = True
    return outrun
