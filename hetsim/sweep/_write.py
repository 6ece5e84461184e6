"""The files of a sweep directory: ``points.parquet``, ``scenarios.parquet``, ``manifest.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hetsim.sweep._journal import writing
from hetsim.sweep._load import LoadedSweep
from hetsim.sweep._screen import Bounds

__all__ = ["points_table", "write_json", "write_table"]

_HEAD = ("status", "reason", "content_hash", "calibration_grade")
_BOUNDS = ("goodput_req_s", "cost_usd_per_mtok", "power_w", "ttft_s.p99")


def points_table(
    sweep: LoadedSweep, rows: list[list[dict[str, Any]]], bounds: Bounds | None
) -> Any:
    """Return one row per point and seed, in the order of the design.

    Axes are columns ``axis.NAME``, bounds ``bound`` (of the response) and ``bound.METRIC``; the
    metrics are those of a run's summary.
    """
    import pandas as pd

    seeds = len(sweep.seeds)
    columns: dict[str, Any] = {
        "point": np.repeat(np.arange(len(rows)), seeds),
        "seed": np.tile(np.array(sweep.seeds, dtype=np.int64), len(rows)),
    }
    for number, axis in enumerate(sweep.axes):
        codes = np.repeat(sweep.points[:, number], seeds)
        names: Any = pd.Index(list(axis.labels))
        columns[f"axis.{axis.name}"] = pd.Categorical.from_codes(codes, names)
    flat = [row for point in rows for row in point]
    for name in _HEAD:
        columns[name] = [row.get(name) for row in flat]
    columns.update(_bound_columns(sweep, bounds))
    for name in dict.fromkeys(key for row in flat for key in row):
        if name not in _HEAD and name != "wall_s":
            columns[name] = _values([row.get(name) for row in flat])
    return pd.DataFrame(columns)


def _bound_columns(sweep: LoadedSweep, bounds: Bounds | None) -> dict[str, Any]:
    if bounds is None:
        return {}
    found = {}
    metric = sweep.spec.response.metric
    for name, column in (("bound", metric), *((f"bound.{n}", n) for n in _BOUNDS)):
        try:
            found[name] = bounds.column(column).ravel()
        except (AttributeError, ValueError):
            continue
    return found


def _values(values: list[Any]) -> Any:
    """Return a column: numbers as floats or whole numbers, missing as NaN; the rest as it is."""
    present = [value for value in values if value is not None]
    if present and all(type(value) is int for value in present) and len(present) == len(values):
        return np.array(values, dtype=np.int64)
    if present and all(type(value) in (int, float) for value in present):
        return np.array([np.nan if value is None else value for value in values], dtype=float)
    return values


def write_table(table: Any, path: Path) -> None:
    """Write a DataFrame as Parquet, whole or not at all."""
    part = path.with_name(f".{path.name}.partial")
    with writing(path):
        try:
            table.to_parquet(part, compression="zstd", index=False)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def write_json(data: Mapping[str, Any], path: Path) -> None:
    """Write JSON, whole or not at all."""
    part = path.with_name(f".{path.name}.partial")
    with writing(path):
        try:
            part.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
