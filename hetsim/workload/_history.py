"""Prefix ids of conversations whose every turn repeats all that was said before."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["conversation_ids", "csr_ids"]

_BITS = 20
"""Blocks of one conversation that ids can tell apart: 2^20."""


def conversation_ids(conversation: int, isl: int, shared: int, block: int) -> list[int]:
    """Return the ids of the full blocks of an input of ``isl`` tokens.

    The first ``shared`` tokens are the same in all conversations, so their full blocks are too.
    After them a block's id is told by conversation and position alone: history only ever grows.

    >>> conversation_ids(0, 64, shared=32, block=16)
    [0, 1, 1048578, 1048579]
    """
    common, full = min(shared, isl) // block, isl // block
    base = (conversation + 1) << _BITS
    return [*range(common), *range(base + common, base + full)]


def csr_ids(
    conversation: npt.NDArray[np.int64], isl: npt.NDArray[np.int64], shared: int, block: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return offsets and ids of many inputs at once; row by row :func:`conversation_ids`."""
    counts = isl // block
    offsets = np.concatenate(([0], np.cumsum(counts)))
    position = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
    base = np.repeat((conversation + 1) << _BITS, counts)
    return offsets, np.where(position < shared // block, position, base + position)
