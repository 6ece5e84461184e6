"""Samples as a table, and files that are whole or absent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.calibrate.measure._journal import Journal, readings_of
from hetsim.calibrate.measure._rounds import moved_rounds, sentinel_ratios, sentinels
from hetsim.calibrate.measure._statistics import outliers
from hetsim.calibrate.measure._types import COLUMNS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["free_name", "sample_table", "write_json", "write_parquet"]


def sample_table(journal: Journal, clock: str, accelerated: bool) -> pd.DataFrame:
    """Return every reading as a row, those of moved rounds and outliers marked, none left out."""
    import pandas as pd

    known = {at.key: at for at in (*sentinels(accelerated), *journal.points)}
    ratios, moved = sentinel_ratios(journal), set(moved_rounds(journal))
    rows: list[dict[str, Any]] = []
    for visit in journal.visits:
        at = known[visit["point"]]
        readings = readings_of(visit)
        wild = outliers([reading.time_s for reading in readings])
        common = {
            **{"family": at.family, "kind": at.kind, "format": at.format, "op": at.op},
            **{"provider": at.provider, "point": at.key, "role": visit["role"]},
            **{"round": visit["round"], "visit": visit["visit"], "inner": visit["inner"]},
            "clock": "wall" if at.on_host and clock == "event" else clock,
            "round_moved": visit["round"] in moved,
            "sentinel_ratio": ratios.get(visit["round"], 1.0),
            "at_s": visit["at_s"],
            "mhz": visit["mhz"] or float("nan"),
            **{"flops": at.flops, "bytes": at.bytes},
            **{name: float("nan") for name in COLUMNS},
            **dict(at.shape),
        }
        for repeat, (reading, is_wild) in enumerate(zip(readings, wild, strict=True)):
            times = {"time_s": reading.time_s, "wall_s": reading.wall_s, "cpu_s": reading.cpu_s}
            rows.append({**common, "repeat": repeat, "outlier": is_wild, **times})
    return pd.DataFrame(rows)


def free_name(folder: Path, stem: str, suffix: str) -> Path:
    """Return a path in ``folder`` that does not exist yet: earlier samples are never replaced."""
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        if not (folder / f"{name}{suffix}").exists():
            return folder / f"{name}{suffix}"
        number += 1


def _whole(path: Path, write: Callable[[Path], object]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return path


def write_parquet(path: Path, table: pd.DataFrame) -> Path:
    """Write a table, whole or not at all."""
    return _whole(path, lambda draft: table.to_parquet(draft, index=False, compression="zstd"))


def write_json(path: Path, content: Mapping[str, Any]) -> Path:
    """Write a record, whole or not at all."""
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    return _whole(path, lambda draft: draft.write_text(text, encoding="utf-8"))
