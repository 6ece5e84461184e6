"""Units of arrival columns: from the column's name, or else from the values."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.workload.readers._options import UNITS

__all__ = ["infer_unit", "unit_of_name"]

_WORDS = {
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "ms": "ms", "msec": "ms", "millis": "ms", "milliseconds": "ms",
    "us": "us", "usec": "us", "micros": "us", "microseconds": "us",
    "ns": "ns", "nsec": "ns", "nanos": "ns", "nanoseconds": "ns",
}  # fmt: skip

_EPOCHS = {1e9: "s", 1e12: "ms", 1e15: "us", 1e18: "ns"}


def unit_of_name(name: str) -> tuple[str, str | None]:
    """Return a column name without its unit, and the unit if the name ends in one.

    >>> unit_of_name("arrival_time_ns"), unit_of_name("Timestamp (ms)"), unit_of_name("timestamp")
    (('arrival_time', 'ns'), ('Timestamp', 'ms'), ('timestamp', None))
    """
    match = re.fullmatch(r"(.+?)[ _./-]*[_ (\[.]([A-Za-z]+)[)\]]?", name)
    if match and match[2].lower() in _WORDS:
        return match[1], _WORDS[match[2].lower()]
    return name, None


def infer_unit(times: npt.NDArray[Any]) -> str:
    """Return the unit that makes most sense of arrival times without one.

    Times since 1970 betray their unit by their size (years 2001 to 2033). Otherwise times with
    fractions are seconds, and whole numbers are in the unit whose mean gap is nearest to 1 s.

    >>> infer_unit(np.array([0.25, 1.5])), infer_unit(np.array([0, 900, 2100]))
    ('s', 'ms')
    """
    first, last = float(times[0]), float(times[-1])
    for size, unit in _EPOCHS.items():
        if size <= first < 2 * size:
            return unit
    if times.dtype.kind == "f" and (times != np.floor(times)).any():
        return "s"
    gap = (last - first) / max(1, len(times) - 1)
    if gap <= 0:
        return "s"
    return min(UNITS, key=lambda unit: abs(math.log(gap / UNITS[unit])))
