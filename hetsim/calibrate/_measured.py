"""From raw samples of one device to fits per operator kind, precision and provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.calibrate._device import by_kind
from hetsim.calibrate._fit import Bound, Fitted, Sample, judge
from hetsim.calibrate._held_back import (
    by_range,
    errors_of,
    held_back_seconds,
    held_back_table,
    residuals_of,
)
from hetsim.calibrate._models import MODELS, Model
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._passes import PASS_KINDS, pass_model
from hetsim.calibrate._row_table import RowTable, fit_rows
from hetsim.calibrate._samples import Samples
from hetsim.calibrate._table import SHAPES, Dropped, clean, make_table
from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import Accelerator
from hetsim.spec import spec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KernelFit", "fit_kernels", "nominal_from"]

LEAST_MODEL, LEAST_PASS = (8, 3), (3, 1)
"""Points and families of shapes that a roofline needs, and a pass over memory."""
LEAST = {"elementwise": (8, 2)}
BY_OPERATOR = ("sample", "bandwidth", "permute", "host_copy", "launch")
"""Kinds whose entries are named after the operator, since the format says nothing."""
_BETTER = 0.005


@spec
class KernelFit:
    """One operator kind in one format by one provider: fits, errors, and what was left out."""

    kind: str
    format: str
    provider: str
    read: int
    """Points that were measured."""
    dropped: Dropped
    """Readings and points left out, by reason."""
    plain: Fitted | None
    """None if there are too few points."""
    shaped: Fitted | None
    table: RowTable | None
    table_error: tuple[float, float] | None
    """Median and 90th percentile on held-back shapes, if there is a table."""
    regimes: dict[str, float]
    """Median error of the published form on held-back shapes, by range of m."""
    rows: tuple[float, float] | None
    """Smallest and largest m, new tokens or context that was measured."""
    residuals: Any
    """``time_s, predicted_s, work`` of held-back points, for plots."""

    @property
    def form(self) -> str:
        """The form that costs use: ``table``, ``shaped``, ``plain``, or ``none``."""
        if self.table is not None:
            return "table"
        if self.shaped is not None:
            return "shaped"
        return "plain" if self.plain is not None else "none"

    @property
    def error(self) -> tuple[float, float] | None:
        """Median and 90th percentile of the error of that form on held-back shapes."""
        if self.table_error is not None:
            return self.table_error
        best = self.shaped or self.plain
        return (best.median_out, best.p90_out) if best is not None else None


def nominal_from(device: Accelerator, cache_bytes: float = 0.0) -> Nominal:
    """Return the nominal values of a device; measured operands are cold, so that no cache counts.

    Raises
    ------
    ScenarioError
        If the profile lacks its 16-bit peak or memory bandwidth.
    """
    peaks = {roof: float(value) for roof, value in sorted(device.peaks_flop_per_s.items())}
    peaks.setdefault("bf16", peaks.get("fp16", 0.0))
    if not peaks["bf16"]:
        raise ScenarioError(Problem(f"accelerator {device.name}: its 16-bit peak is not known"))
    return Nominal(
        name=device.name,
        bandwidth_bytes_per_s=device.require("memory_bytes_per_s", "fitting efficiencies"),
        peaks_flop_per_s=peaks,
        cache_bytes=cache_bytes,
    )


def fit_kernels(
    samples: Samples, device: Accelerator, cache_bytes: float = 0.0
) -> tuple[KernelFit, ...]:
    """Return the fits of everything in ``samples``, whatever its provider."""
    made: list[KernelFit] = []
    table = samples.table
    for provider in sorted(set(table["provider"])):
        part = table[table["provider"] == provider]
        for kind, frame in _frames(part).items():
            for fmt, rows in _formats(kind, frame):
                lost = _lost(samples, kind, fmt, provider)
                nominal = nominal_from(device, cache_bytes if kind in PASS_KINDS else 0.0)
                made.append(_kernel(kind, fmt, provider, rows, nominal, lost))
    return tuple(made)


def _frames(part: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the common table per kind; elementwise operators also each on their own."""
    frames: list[pd.DataFrame] = []
    for kind, rows in part.groupby("kind", sort=True):
        name = str(kind)
        if name == "elementwise":
            pooled = rows.assign(format="bf16")
            frames.append(_common("elementwise", pooled))
            frames += [
                rows[rows["op"] == op].assign(kind=f"elementwise_{op}", source="measured")
                for op in sorted(set(rows["op"]))
            ]
        elif name in MODELS:
            frames.append(_common(name, rows))
        else:
            frames.append(rows.assign(source="measured"))
    return by_kind(frames)


def _common(kind: str, rows: pd.DataFrame) -> pd.DataFrame:
    columns = {name: rows[name].to_numpy() for name in ("format", "time_s", *SHAPES[kind])}
    return make_table(kind, {**columns, "source": "measured", "framework": "measured"})


def _formats(kind: str, frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows by the key that they get below their kind in a calibration."""
    if kind in BY_OPERATOR:
        key = frame["op"] if kind != "host_copy" else frame["op"] + "_" + frame["format"]
    elif kind in PASS_KINDS and kind != "convert":
        return [("any", frame)]
    else:
        key = frame["format"]
    return [(str(name), rows) for name, rows in frame.groupby(key, sort=True)]


def _lost(samples: Samples, kind: str, fmt: str, provider: str) -> Dropped:
    total: Dropped = {}
    for name, counts in samples.dropped.items():
        one, other, whose = name.split("/")
        if (one, whose) == (kind, provider) and fmt in (other, "any"):
            for reason, count in counts.items():
                total[reason] = total.get(reason, 0) + count
    return total


def _kernel(
    kind: str, fmt: str, provider: str, rows: pd.DataFrame, nominal: Nominal, lost: Dropped
) -> KernelFit:
    read = len(rows)
    model = MODELS[kind] if kind in MODELS else pass_model(kind)
    kernels = kind in MODELS and kind not in PASS_KINDS
    rows, more = (clean if kernels else clean_passes)(rows, nominal)
    dropped = {**lost, **{f"point {reason}": count for reason, count in more.items()}}
    sample = _sample(kind, fmt, model, rows, nominal)
    if sample is None:
        return _empty(kind, fmt, provider, read, dropped)
    plain = judge(_known(model, model.plain, rows), model.seconds, sample)
    shaped = _shaped(model, rows, sample, plain)
    bounds = _known(model, model.shaped if shaped else model.plain, rows)
    predicted = held_back_seconds(bounds, model, sample)
    table, error = None, None
    if kind == "gemm":
        table, error, by_table = _row_table(rows, sample, bounds, model, shaped or plain)
        predicted = predicted if by_table is None else by_table
    return KernelFit(
        kind=kind,
        format=fmt,
        provider=provider,
        read=read,
        dropped=dropped,
        plain=plain,
        shaped=shaped,
        table=table,
        table_error=error,
        regimes=by_range(rows, predicted, sample) if kind == "gemm" else {},
        rows=_range(kind, rows),
        residuals=residuals_of(rows, predicted, sample),
    )


def _sample(
    kind: str, fmt: str, model: Model, rows: pd.DataFrame, nominal: Nominal
) -> Sample | None:
    """Return the rows ready to be fitted; None if there are too few, or too alike."""
    points, families = LEAST.get(kind, LEAST_MODEL if kind in MODELS else LEAST_PASS)
    if len(rows) < points:
        return None
    sample = model.sample(rows, nominal, "bf16" if kind in PASS_KINDS else fmt)
    return sample if len(set(sample.family)) >= families else None


def _row_table(
    rows: pd.DataFrame, sample: Sample, bounds: tuple[Bound, ...], model: Model, best: Fitted
) -> tuple[RowTable | None, tuple[float, float] | None, Any]:
    """Return a table where it predicts held-back shapes no worse than the roofline, or Nones."""
    predicted = held_back_table(rows, sample, bounds, model)
    if predicted is None:
        return None, None, None
    error = errors_of(predicted, sample)
    table = fit_rows(rows, best.parameters["t0_us"] * 1e-6)
    if table is None or error[0] > best.median_out + _BETTER:
        return None, None, None
    return table, error, predicted


_AXES = {"gemm": "m", "attention_prefill": "new", "attention_decode": "context"}


def _range(kind: str, rows: pd.DataFrame) -> tuple[float, float] | None:
    axis = _AXES.get(kind)
    return (float(rows[axis].min()), float(rows[axis].max())) if axis else None


def _empty(kind: str, fmt: str, provider: str, read: int, dropped: Dropped) -> KernelFit:
    return KernelFit(
        kind=kind,
        format=fmt,
        provider=provider,
        read=read,
        dropped=dropped,
        plain=None,
        shaped=None,
        table=None,
        table_error=None,
        regimes={},
        rows=None,
        residuals=None,
    )


def clean_passes(rows: pd.DataFrame, nominal: Nominal) -> tuple[pd.DataFrame, Dropped]:
    """Return the believable rows of passes over memory: none from memory beats its bandwidth."""
    cold = rows["bytes"] > nominal.cache_bytes
    fast = cold & (rows["time_s"] < rows["bytes"] / nominal.bandwidth_bytes_per_s)
    return rows[~fast], {"beyond bandwidth": int(fast.sum())} if fast.any() else {}


def _known(model: Model, bounds: tuple[Bound, ...], rows: pd.DataFrame) -> tuple[Bound, ...]:
    if model.known is None:
        return bounds
    return tuple(bound for bound in bounds if model.known(bound, rows))


def _shaped(model: Model, rows: pd.DataFrame, sample: Any, plain: Fitted) -> Fitted | None:
    """Return the fuller form where it predicts held-back shapes better than the plain one."""
    bounds = _known(model, model.shaped, rows)
    if len(rows) < 3 * len(bounds) or not bounds:
        return None
    made = judge(bounds, model.seconds, sample)
    return made if made.median_out < plain.median_out - _BETTER else None
