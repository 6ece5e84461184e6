"""Hand-offs on real arrays, in public: encode KV, lay it out, move it, convert it, read it back.

>>> import numpy as np
>>> from hetsim.representation import LayoutWords, represent
>>> from hetsim.model import get_model
>>> words = LayoutWords(page_tokens=16, order="LBHN", kv_pack="planes")
>>> rep = represent(get_model("llama-3.2-1b"), "bf16", words)[0]
>>> keys = np.ones((2, 4, 8, 64), np.float32)               # [layers, tokens, heads, dims]
>>> relative_error(keys, values_of(rep, encode_content(rep, keys, keys))[0])
0.0
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.representation._arrays import (
    Content,
    Descriptor,
    convert,
    descriptors_between,
    encode_content,
    labels,
    lay_out,
    move,
    values_of,
)
from hetsim.representation._errors_measured import reference_tensors

__all__ = [
    "Content",
    "Descriptor",
    "convert",
    "descriptors_between",
    "encode_content",
    "labels",
    "lay_out",
    "move",
    "reference_tensors",
    "relative_error",
    "values_of",
]


def relative_error(truth: npt.NDArray[Any], seen: npt.NDArray[Any]) -> float:
    """Return the root mean square of ``seen - truth`` over that of ``truth``; NaN counts as lost.

    >>> relative_error(np.array([3.0, 4.0]), np.array([3.0, np.nan]))
    0.8
    """
    lost = np.where(np.isfinite(seen), seen, 0.0) - truth
    return float(np.sqrt(np.sum(lost**2, dtype=np.float64) / np.sum(truth**2, dtype=np.float64)))
