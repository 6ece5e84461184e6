"""Measure what an encoding does to KV: relative RMS error on seeded reference tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.representation._codecs import decode, encode
from hetsim.representation._descriptor import Representation
from hetsim.representation._error_table import KV_ERROR, KvError

__all__ = ["measure_kv_error", "measure_kv_errors", "reference_tensors"]

_SEED = 20261124
_SHAPE = (2, 512, 8, 128)


def reference_tensors() -> dict[str, npt.NDArray[Any]]:
    """Return the two reference tensors ``[layers, tokens, heads, dims]``.

    ``gaussian`` is standard normal. ``outlier`` is the same with one channel in 32 made 16 times
    larger in every token, as channels of keys look (KIVI, arXiv 2402.02750).
    """
    draw = np.random.Generator(np.random.PCG64(_SEED))
    gaussian = draw.standard_normal(_SHAPE).astype(np.float32)
    outlier = gaussian.copy()
    outlier[..., ::32] *= 16.0
    return {"gaussian": gaussian, "outlier": outlier}


def measure_kv_error(rep: Representation) -> KvError:
    """Return ``|decoded - x| / |x|`` in the root mean square for the encoding of ``rep``."""
    found = {}
    for name, values in reference_tensors().items():
        made = decode(encode(values, rep), rep)
        lost = np.sqrt(np.mean((made - values) ** 2, dtype=np.float64))
        found[name] = float(lost / np.sqrt(np.mean(values**2, dtype=np.float64)))
    return KvError(gaussian_ratio=found["gaussian"], outlier_ratio=found["outlier"])


def measure_kv_errors(like: Representation) -> dict[str, KvError]:
    """Return the error of every entry of ``KV_ERROR``, measured anew."""
    from dataclasses import replace

    made = {}
    for key in KV_ERROR:
        enc, gran = key.split("/")
        loc = "none" if gran == "none" else "inline_row"
        loc = "checkpoint" if gran.endswith("static") else loc
        rep: Any = {"enc": enc, "scale_gran": gran, "scale_loc": loc}
        made[key] = measure_kv_error(replace(like, **rep))
    return made
