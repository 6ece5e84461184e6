"""The kernels that the pair will run, measured and fitted: what the prediction rests on."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._fit_samples import MeasuredFit, fit_samples
from hetsim.calibrate.loop._cases import Case, ModelKey
from hetsim.calibrate.loop._shapes import Dims, config_of, dims_of
from hetsim.costs import Calibration, Parameters, load_calibration
from hetsim.hardware import Accelerator, get_accelerator, load_accelerator_file
from hetsim.spec import data_root
from hetsim.transfer import fit_line

if TYPE_CHECKING:
    from hetsim.calibrate.measure import Point

__all__ = ["Kernels", "kernel_points", "measure_slice"]

LAYER_KERNELS = 6.0
"""Small kernels that a cost model books for a dense layer; their floor is what was measured
together, shared out."""
_THIRD_HEADS = (16, 4, 64)
_GENERIC_GEMMS = ((960, 960), (5120, 960), (2560, 2048), (896, 4864))
"""``(n, k)`` of layers that no model of the loop has, so that the fit must bridge shapes."""


def _gemms(dims: Dims) -> list[tuple[int, int]]:
    features = (dims.heads + 2 * dims.kv_heads) * dims.head_dim
    return [
        (features, dims.hidden),
        (dims.hidden, dims.heads * dims.head_dim),
        (2 * dims.inter, dims.hidden),
        (dims.hidden, dims.inter),
    ]


def kernel_points(cases: Sequence[Case], *, quick: bool) -> tuple[Point, ...]:
    """Return the kernels of some cases: projections, attention, small kernels, conversions."""
    models = dict.fromkeys(case.model for case in cases)
    found: dict[str, Point] = {}
    for model in models:
        dims = dims_of(config_of(model.size))
        formats = {case.handoff.kv for case in cases if case.model == model}
        made = _projections(dims, model.format, quick) + _attention(dims, model.format, quick)
        for fmt in sorted(formats | {model.format}):
            made += _decode_attention(dims, fmt, quick)
        made += _small(dims, model.format) + _conversions(dims, cases, model.format)
        found |= {at.key: at for at in made}
    return tuple(found.values())


def _projections(dims: Dims, fmt: str, quick: bool) -> list[Point]:
    from hetsim.calibrate.measure import point

    width = 4.0 if fmt == "fp32" else 2.0
    rows = (1, 4, 32, 128, 256, 768) if quick else (1, 2, 4, 6, 16, 64, 128, 256, 384, 1024)
    shapes = [(n, k, m) for n, k in _gemms(dims) for m in rows]
    shapes += [(n, k, m) for n, k in _GENERIC_GEMMS for m in rows[:: 2 if quick else 1]]
    shapes += [(dims.vocab, dims.hidden, m) for m in rows[:2]]
    return [
        point(
            *("gemm", "gemm", fmt, "torch", "linear"),
            2.0 * m * n * k,
            width * (n * k + m * (n + k)),
            m=m,
            n=n,
            k=k,
        )
        for n, k, m in shapes
    ]


def _heads(dims: Dims) -> list[tuple[int, int, int]]:
    return [(dims.heads, dims.kv_heads, dims.head_dim), (8, 2, 64), (12, 4, 64), _THIRD_HEADS]


def _attention(dims: Dims, fmt: str, quick: bool) -> list[Point]:
    from hetsim.calibrate.measure.attention_prefill import _point

    lengths = (64, 128, 256, 768) if quick else (64, 128, 256, 384, 1024)
    return [
        _point(fmt, "torch", 1, new, 0, *shape)
        for shape in dict.fromkeys(_heads(dims))
        for new in lengths
    ]


def _decode_attention(dims: Dims, fmt: str, quick: bool) -> list[Point]:
    from hetsim.calibrate.measure.decoder import attention_point, flush_point

    narrow = fmt in ("int8", "fp8_e4m3")
    batches = (1,) if narrow else (1, 4)
    contexts = (128, 384, 768 if quick else 1024)
    before = flush_point("fp32" if fmt == "fp32" else "bf16")
    return [before] + [
        attention_point(fmt, batch, context, *shape)
        for shape in dict.fromkeys(_heads(dims))
        for batch in batches
        for context in contexts
    ]


def _small(dims: Dims, fmt: str) -> list[Point]:
    from hetsim.calibrate.measure.decoder import layer_point

    shape = dims.hidden, dims.inter, dims.heads, dims.kv_heads, dims.head_dim
    few = [layer_point(fmt, n, *shape, op) for n in (1, 4) for op in ("between", "projections")]
    return [*few, *(layer_point(fmt, rows, *shape) for rows in (128, 384, 1024))]


def _conversions(dims: Dims, cases: Sequence[Case], native: str) -> list[Point]:
    from hetsim.calibrate.measure.decoder import convert_point

    pairs: dict[tuple[str, str], None] = {}
    for case in cases:
        if case.model.format == native:
            pairs[native, case.handoff.wire] = None
            pairs[case.handoff.wire, case.handoff.kv] = None
    return [
        convert_point(source, target, tokens, dims.kv_heads, dims.head_dim)
        for source, target in pairs
        if source != target
        for tokens in (1024, 4096, 12288)
    ]


def measure_slice(folder: Path, date: str, points: tuple[Point, ...]) -> Path:
    """Measure the kernels once, and the memory, and return where the samples lie."""
    from hetsim.calibrate.measure import Options, measure

    options = Options.quickly(
        families=("bandwidth",),
        formats=("fp32",),
        rounds=1,
        spare_rounds=0,
        # Nothing may be left out: the prediction needs every kernel.
        longest_s=60.0,
        round_s=3600.0,
        limit_s=None,
    )
    samples = measure(folder, date=date, device="cpu", options=options, extra=points).samples
    take_off(samples)
    return samples


_LAYERS = "layers.parquet"
"""Small kernels of whole layers: they are fitted here, and no operator of a calibration file."""


def take_off(samples: Path) -> None:
    """Take off what was timed before or between kernels of the decoder, in the file of samples.

    Attention is timed after a projection and small kernels between a layer's projections, since
    both find the caches as weights leave them; the projections alone are measured beside.
    """
    import pandas as pd

    from hetsim.calibrate.measure._store import write_parquet

    table = pd.read_parquet(samples)
    calm = table[~table["outlier"]]
    shape = ["format", "rows", "hidden", "inter"]
    flush = calm[calm["op"] == "flush"].groupby("format")["time_s"].median()
    weights = calm[calm["op"] == "projections"].groupby(shape)["time_s"].median()
    wide = table["format"].where(table["format"] == "fp32", "bf16")
    off = wide.map(flush).where(table["op"] == "own_caches", 0.0)
    between = table["op"] == "between"
    keys = pd.MultiIndex.from_frame(table.loc[between, shape])
    off.loc[between] = weights.reindex(keys).to_numpy()
    table["time_s"] = (table["time_s"] - off).clip(lower=1e-6)
    table.loc[between, "op"] = "layer"
    small = table["op"] == "layer"
    write_parquet(samples.with_name(_LAYERS), table[small])
    write_parquet(samples, table[~small & ~table["op"].isin(["flush", "projections"])])


class Kernels:
    """The fits of some slices: one device, one calibration per format that a model computes in."""

    def __init__(self, samples: Sequence[Path], folder: Path, date: str) -> None:
        root = folder / "calibration"
        root.mkdir(parents=True, exist_ok=True)
        shutil.copy(data_root("calibration") / "families.yaml", root / "families.yaml")
        device = _slug_of(samples)
        self.profile = _profile(samples[0].parent, device)
        self.accelerator: Accelerator = (
            load_accelerator_file(self.profile) if self.profile else get_accelerator(device)
        )
        self.fit: MeasuredFit = fit_samples(
            samples, out=root / device, date=date, provider="torch", accelerator=device
        )
        self._common = load_calibration(self.accelerator, root)
        self._layers = _layer_rows(samples)

    def calibration(self, key: ModelKey) -> Calibration:
        """Return the calibration for one model.

        Small kernels are one kind in a calibration whatever their format, and decode attention is
        one line whatever the heads: here both are those of the model in question.
        """
        dims, table = dims_of(config_of(key.size)), self.fit.samples.table
        small = self._layers
        own = small[(small["format"] == key.format) & (small["columns"] == dims.hidden)]
        decode = table[
            (table["kind"] == "attention_decode")
            & (table["heads"] == dims.heads)
            & (table["kv_heads"] == dims.kv_heads)
        ]
        first, *rest = self._common.layers
        operators = {
            **first.operators,
            "elementwise": {"any": _small_kernels(own, self._bandwidth)},
            "attention_decode": {
                str(fmt): _decode_attention_line(rows, dims, self._bandwidth)
                for fmt, rows in decode.groupby("format", sort=True)
            },
        }
        return replace(self._common, layers=(replace(first, operators=operators), *rest))

    @property
    def _bandwidth(self) -> float:
        return self.accelerator.require("memory_bytes_per_s", "kernels of the loop")


def _layer_rows(samples: Sequence[Path]) -> Any:
    """Return a row per shape: the median over the slices of the medians of a slice."""
    import pandas as pd

    shape = ["format", "rows", "columns", "bytes"]
    slices = []
    for path in samples:
        table = pd.read_parquet(path.with_name(_LAYERS))
        calm = table[~table["outlier"]]
        slices.append(calm.groupby(shape, as_index=False)["time_s"].median())
    return pd.concat(slices).groupby(shape, as_index=False)["time_s"].median()


def _small_kernels(rows: Any, bandwidth: float) -> Parameters:
    line = fit_line(rows["bytes"].tolist(), rows["time_s"].tolist())
    return Parameters(
        t0_s=max(0.0, line.fixed_s) / LAYER_KERNELS,
        e_c=1.0,
        e_m=min(1.0, line.bytes_per_s / bandwidth),
        p=1.0,
        grade="measured",
        rse=line.median_error_ratio,
        source="small kernels of a layer, timed together on this device",
    )


def _decode_attention_line(rows: Any, dims: Dims, bandwidth: float) -> Parameters:
    """Fit ``t0 + batch each + context slope``, every point by its relative error, none negative."""
    import numpy as np
    from scipy.optimize import nnls

    batch, times = rows["batch"].to_numpy(float), rows["time_s"].to_numpy(float)
    context = batch * rows["context"].to_numpy(float)
    columns = np.column_stack([np.ones(len(times)), batch, context])
    (t0_s, each_s, slope_s), _ = nnls(columns / times[:, None], np.ones(len(times)))
    predicted = columns @ np.array([t0_s, each_s, slope_s])
    moved = float((rows["bytes"] / context).median())
    return Parameters(
        t0_s=float(t0_s),
        e_c=1.0,
        e_m=min(1.0, moved / (max(float(slope_s), 1e-12) * bandwidth)),
        p=_STEEP,
        per_kv_head_s=float(each_s) / dims.kv_heads,
        grade="measured",
        rse=float(np.median(np.abs(predicted / times - 1.0))),
        source="decode attention at these heads, timed on this device",
    )


_STEEP = 8.0
"""Bytes alone set the slope: nothing is added for arithmetic, which the line includes."""


def _slug_of(samples: Sequence[Path]) -> str:
    import json

    manifest = json.loads(samples[0].with_suffix(".json").read_text())
    device = manifest["device"]
    return str(device["slug"] if "slug" in device else device["name"])


def _profile(folder: Path, device: str) -> Path | None:
    own = folder / "accelerator" / f"{device}.yaml"
    return own if own.is_file() else None
