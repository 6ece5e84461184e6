"""What the models of all operator kinds share: rows, weights, families, cached bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._fit import Bound, Sample
from hetsim.calibrate._formats import kernel_format
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._repeats import from_memory_part
from hetsim.spec import spec

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "E_C",
    "E_M",
    "GAIN",
    "ROOFLINE",
    "T0",
    "Model",
    "P",
    "arrays",
    "base_columns",
    "everything",
    "extra",
    "fetched",
    "grid_weight",
    "label",
    "make_sample",
    "narrowed",
    "two_frameworks",
]


@spec
class Model:
    """How one operator kind is fitted."""

    plain: tuple[Bound, ...]
    """Parameters of the main keys of a file."""
    shaped: tuple[Bound, ...]
    """Parameters of its ``shaped`` entry; empty if there is no such form."""
    select: Callable[[Any, Nominal], tuple[Any, dict[str, int]]]
    """From cleaned rows to those that the form describes, and how many were left out, by reason."""
    sample: Callable[[Any, Nominal, str], Sample]
    seconds: Callable[[Mapping[str, float], Mapping[str, Any]], Any]
    plain_rows: Callable[[Any], Any] | None = None
    """From a frame to the rows that the plain form is fitted to, if fewer."""
    on_blocks: tuple[Bound, ...] = ()
    """Instead of ``shaped``, on devices whose number of multiprocessors is known."""
    known: Callable[[Bound, Any], bool] | None = None
    """Whether the rows can tell a parameter at all; the others are left out."""
    valid: str = ""

    def fuller(self, nominal: Nominal) -> tuple[Bound, ...]:
        """Return the parameters of the shaped entry on a device, its number of blocks fixed."""
        if not self.on_blocks or not nominal.blocks:
            return self.shaped
        blocks = nominal.blocks
        return (*self.on_blocks, Bound(name="blocks", start=blocks, low=blocks, high=blocks))


T0 = Bound(name="t0_us", start=5.0, low=0.05, high=300.0, log=True)
E_C = Bound(name="e_c", start=0.7, low=0.01, high=1.0)
E_M = Bound(name="e_m", start=0.8, low=0.01, high=1.0)
P = Bound(name="p", start=2.0, low=1.0, high=8.0)
GAIN = Bound(name="cache_gain", start=1.2, low=1.0, high=4.0)
ROOFLINE = (T0, E_C, E_M, P)


def extra(name: str, start: float, low: float, high: float) -> Bound:
    return Bound(name=name, start=start, low=low, high=high, log=True)


def everything(frame: pd.DataFrame, nominal: Nominal) -> tuple[pd.DataFrame, dict[str, int]]:
    return frame, {}


def narrowed(frame: pd.DataFrame, *rules: tuple[str, Any]) -> tuple[pd.DataFrame, dict[str, int]]:
    dropped: dict[str, int] = {}
    for reason, rule in rules:
        keep = rule(frame)
        if not keep.all():
            dropped[reason] = int((~keep).sum())
        frame = frame[keep]
    return frame, dropped


def _cold(moved: Any, nominal: Nominal) -> Any:
    """Return the part of the bytes that a repeated benchmark must fetch from memory again.

    None while the operands fill less than half of the last-level cache, all of them from 1.2 times
    its size on, linear between.
    """
    return from_memory_part(moved, nominal.cache_bytes, 0.5, 1.2)


def fetched(parameters: Mapping[str, float], c: Mapping[str, Any]) -> Any:
    """Return the bytes at memory speed: what lay in the cache counts ``1 / cache_gain``."""
    gain = parameters.get("cache_gain", 1.0)
    return c["bytes"] * (c["cold"] + (1.0 - c["cold"]) / gain)


def arrays(frame: pd.DataFrame, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: frame[name].to_numpy(float) for name in names}


def label(frame: pd.DataFrame, names: tuple[str, ...]) -> Any:
    text = frame[names[0]].astype(int).astype(str)
    for name in names[1:]:
        text = text + "/" + frame[name].astype(int).astype(str)
    return text.to_numpy(str)


def grid_weight(values: Any) -> Any:
    """Return weights that make a measured grid count evenly in the logarithm of its values."""
    import numpy as np

    known, index = np.unique(values, return_inverse=True)
    if len(known) < 3:
        return np.ones(len(values))
    return np.gradient(np.log(known))[index]


def base_columns(frame: pd.DataFrame, nominal: Nominal, fmt: str) -> dict[str, Any]:
    import numpy as np

    moved = frame["bytes"].to_numpy(float)
    rows = len(frame)
    return {
        "bytes": moved,
        "cold": frame["cold"].to_numpy(float) if "cold" in frame else _cold(moved, nominal),
        "peak": np.full(rows, nominal.peak(kernel_format(fmt).roof)),
        "bandwidth": np.full(rows, nominal.bandwidth_bytes_per_s),
    }


def make_sample(
    frame: pd.DataFrame,
    columns: dict[str, Any],
    weight: Any,
    family: Any,
    inside: Any,
    half_s: float,
) -> Sample:
    """Weight rows by their share of a step as well: a kernel of ``half_s`` counts half."""
    time_s = frame["time_s"].to_numpy(float)
    share = time_s / (time_s + half_s)
    return Sample(
        time_s=time_s, weight=weight * share, family=family, inside=inside, columns=columns
    )


def two_frameworks(frame: pd.DataFrame) -> Any:
    """Whether two frameworks measured the shape; a device that only one measured is kept whole."""
    return (frame["frameworks"] >= 2) | (frame["frameworks"].max() < 2)
