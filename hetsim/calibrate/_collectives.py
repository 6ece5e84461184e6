"""Collectives: up to three affine pieces per group size, of which the faster one counts.

The measured time is that of the fastest kernel (custom all-reduce for small messages, NCCL for
large ones): floor, a first slope of little bandwidth, a second of nearly all. Two lines and their
minimum follow that, since the slope only falls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.calibrate._forms import collective_s
from hetsim.spec import spec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["COLLECTIVES", "Pieces", "fit_collective"]

COLLECTIVES = (
    "all_reduce",
    "all_gather",
    "reduce_scatter",
    "all_to_all",
    "moe_dispatch",
    "moe_combine",
)
SMALLEST, LARGEST = 4e3, 600e6
"""Messages of serving: a few tokens of one layer up to long prompts, in bytes."""
LEAST_POINTS = 8
_LOW, _HIGHEST_FLOOR = (-3.0, 16.0), 12.0
"""Bounds of ``log(t0_us)`` and ``log(bytes_per_s)``: 0.05 us to 0.16 s, from 9 MB/s on."""
_BEYOND = 1.2


@spec
class Pieces:
    """The pieces of one collective over one group size, and how far they miss."""

    pieces: tuple[tuple[float, float], ...]
    """``(t0_us, bytes_per_s)`` each, small messages first."""
    points: int
    median_in: float
    p90_in: float
    median_out: float
    p90_out: float
    rse: float


def fit_collective(frame: pd.DataFrame) -> Pieces | None:
    """Return the pieces that fit one group size, or None if there are too few points.

    Every third of the size range is held back in turn; with two pieces the middle third says how
    well the lines interpolate and the others how well they extrapolate.
    """
    import numpy as np

    part = frame[frame["message_bytes"].between(SMALLEST, LARGEST)].sort_values("message_bytes")
    size, time_s = (part[c].to_numpy(float) for c in ("message_bytes", "time_s"))
    if len(size) < LEAST_POINTS:
        return None
    fast = _undominated(size, time_s)
    size, time_s = size[fast], time_s[fast]
    if len(size) < LEAST_POINTS:
        return None
    pieces = _best(size, time_s)
    inner = np.log(collective_s(pieces, size) / time_s)
    outer = np.zeros(len(size))
    for rows in np.array_split(np.arange(len(size)), 6):
        keep = np.ones(len(size), dtype=bool)
        keep[rows] = False
        outer[rows] = np.log(
            collective_s(_best(size[keep], time_s[keep]), size[rows]) / time_s[rows]
        )
    miss_in, miss_out = np.abs(np.expm1(inner)), np.abs(np.expm1(outer))
    return Pieces(
        pieces=tuple(pieces),
        points=len(size),
        median_in=float(np.median(miss_in)),
        p90_in=float(np.quantile(miss_in, 0.9)),
        median_out=float(np.median(miss_out)),
        p90_out=float(np.quantile(miss_out, 0.9)),
        rse=float(1.4826 * np.median(np.abs(outer))),
    )


_SLOWER = 1.15
"""A point that takes this much longer than one that moves no less was another, slower kernel."""


def _undominated(size: Any, time_s: Any) -> Any:
    """Return which points no larger message beats: tables of several kernels, the fastest counts.

    ``size`` rises. Sizes of different kernels need not meet, so that equal ones alone do not tell.
    """
    import numpy as np

    return time_s <= _SLOWER * np.minimum.accumulate(time_s[::-1])[::-1]


def _best(size: Any, time_s: Any) -> list[tuple[float, float]]:
    """Return the fewest pieces (one to three) that one more would not improve by a quarter."""
    import numpy as np

    candidates = [_solve(size, time_s, count) for count in (1, 2, 3)]
    misfit = [float(np.mean(np.abs(np.log(collective_s(c, size) / time_s)))) for c in candidates]
    best = 0
    for which in (1, 2):
        if misfit[which] < 0.75 * misfit[best]:
            best = which
    return candidates[best]


def _solve(size: Any, time_s: Any, count: int) -> list[tuple[float, float]]:
    import numpy as np
    from scipy.optimize import least_squares

    def pieces(x: Any) -> list[tuple[float, float]]:
        return [(float(np.exp(a)), float(np.exp(b))) for a, b in x.reshape(-1, 2)]

    def residual(x: Any) -> Any:
        return np.log(collective_s(pieces(x), size) / time_s)

    starts = np.array_split(np.arange(len(size)), count)
    guess = [_line(size[rows], time_s[rows]) for rows in starts]
    # A slope far above the best rate seen would promise more to longer messages than any link has.
    fastest = float(np.log(_BEYOND * np.max(size / time_s)))
    low, high = np.tile(_LOW, count), np.tile((_HIGHEST_FLOOR, fastest), count)
    start = np.clip(np.ravel(guess), low + 1e-6, high - 1e-6)
    found = least_squares(
        residual, start, bounds=(low, high), loss="soft_l1", f_scale=0.1, max_nfev=200
    )
    return sorted(pieces(found.x), key=lambda piece: piece[0])


def _line(size: Any, time_s: Any) -> tuple[float, float]:
    """Return the logarithms of a first guess of ``(t0_us, bytes_per_s)`` for a range of sizes."""
    import numpy as np

    slope = max((time_s[-1] - time_s[0]) / max(size[-1] - size[0], 1.0), 1e-15)
    floor = max(time_s[0] - slope * size[0], 0.2 * time_s[0])
    return float(np.log(floor * 1e6)), float(-np.log(slope))
