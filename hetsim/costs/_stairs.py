"""Stairs of output tiles: a projection is computed in whole tiles, these in waves over the device.

A kernel cuts the output ``[m, n]`` into tiles; each multiprocessor computes one tile at a time. Of
several tiles the library takes the one that is done first, so that the stair in m is fine where few
rows are asked for and coarse where many are.
"""

from __future__ import annotations

from math import ceil, inf

__all__ = ["LARGEST_TILE", "ROWS", "TILES", "Stair", "tile_weight"]

TILES = (
    (16, 16),
    (16, 32),
    (32, 32),
    (16, 64),
    (32, 64),
    (64, 64),
    (64, 128),
    (128, 128),
    (128, 256),
    (256, 256),
)
"""Rows and columns of output tiles, the smallest first.

Source: shapes that the public libraries of both vendors offer (CUTLASS and DeepGEMM: 64 to 256
rows, 16 to 256 columns; composable kernels of CDNA: from 16 x 16). Small ones also stand for large
ones that are split along k.
"""
ROWS = 16
"""Every tile has a multiple of so many rows: the stair is flat between multiples of them."""
LARGEST_TILE = 256


def tile_weight(rows: float, columns: float, feed: float) -> float:
    """Return what an element of a tile costs, relative to one of the largest tile.

    ``(1 + feed (1/rows + 1/columns)) / (1 + 2 feed / 256)``: per element of k, a tile of
    ``rows x columns`` products needs ``rows + columns`` operands to be fed; one operand takes as
    long as ``feed`` products.

    >>> tile_weight(256, 256, 64.0), tile_weight(64, 64, 64.0), tile_weight(64, 64, 0.0)
    (1.0, 2.0, 1.0)
    """
    return (1.0 + feed * (1.0 / rows + 1.0 / columns)) / (1.0 + 2.0 * feed / LARGEST_TILE)


class Stair:
    """Elements of output that a device works on where ``m n`` of them are asked for.

    The least over tiles of ``weight rows columns blocks (u + wave (ceil(u) - u))`` with
    ``u = ceil(m / rows) ceil(n / columns) / blocks`` waves: at ``wave`` 1 the last wave lasts as
    long as a full one, at 0 its tiles are cut along k and shared by all. Never falls with m, and
    never lies below ``m n``.

    >>> stair = Stair(n=512.0, blocks=4.0, feed=0.0, wave=1.0)
    >>> stair.elements(16.0), stair.elements(17.0)  # 32 tiles of 16 x 16 fill eight waves
    (8192.0, 16384.0)
    """

    __slots__ = ("_known", "_tiles", "blocks", "wave")

    def __init__(self, n: float, blocks: float, feed: float, wave: float) -> None:
        self.blocks = blocks
        self.wave = wave
        self._tiles = tuple(
            (rows, ceil(n / columns), rows * columns * tile_weight(rows, columns, feed))
            for rows, columns in TILES
        )
        self._known: dict[int, float] = {}

    def elements(self, m: float) -> float:
        """Return the elements that cost as much as ``m`` rows; remembered, flat over 16 rows."""
        step = int(-(-m // ROWS))
        found = self._known.get(step)
        if found is None:
            found = self._known[step] = self._least(ROWS * step)
        return found

    def _least(self, m: int) -> float:
        blocks, wave, least = self.blocks, self.wave, inf
        for rows, columns, each in self._tiles:
            waves = -(-m // rows) * columns / blocks
            cost = (waves + wave * (ceil(waves) - waves)) * each
            if cost < least:
                least = cost
        return blocks * least
