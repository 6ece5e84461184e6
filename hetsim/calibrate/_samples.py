"""Raw samples to one time per point: read, cleaned with a count by reason, or refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._table import Dropped
from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LEAST_READINGS", "LEAST_ROUNDS", "Samples", "clean_samples", "read_samples"]

LEAST_READINGS = 3
"""Readings of a point without which its median says nothing."""
LEAST_ROUNDS = 3
"""Good rounds without which the verdict is inconclusive."""
NEEDED = (
    *("kind", "format", "provider", "op", "point", "round", "time_s"),
    *("outlier", "round_moved", "flops", "bytes"),
)
_WORDS = ("kind", "format", "provider", "op", "point")


@spec
class Samples:
    """One row per point, and what was left out on the way."""

    table: Any
    """``kind, format, provider, op, point, time_s, spread, readings, rounds`` and the shape."""
    dropped: dict[str, Dropped]
    """Readings left out by reason, by ``kind/format/provider``."""
    device: str
    manifests: tuple[dict[str, Any], ...]
    rounds: int
    moved: int
    """Rounds whose sentinel moved."""
    good: int
    """Rounds that are whole and did not move."""

    @property
    def verdict(self) -> str:
        """``good``, or ``inconclusive`` with fewer than three good rounds."""
        return "good" if self.good >= LEAST_ROUNDS else "inconclusive"


def read_samples(paths: Sequence[Path]) -> tuple[pd.DataFrame, tuple[dict[str, Any], ...]]:
    """Return the raw readings of some files or folders, and their manifests.

    Raises
    ------
    ScenarioError
        If there is no such file, it is no table of samples, or they are of different devices.
    """
    import pandas as pd

    files = [file for path in paths for file in _files(Path(path))]
    frames, manifests, problems = [], [], []
    for number, file in enumerate(files):
        try:
            frame = pd.read_parquet(file)
        except (OSError, ValueError) as error:
            problems.append(Problem(f"is no table of samples: {_first(error)}", file=str(file)))
            continue
        missing = [name for name in NEEDED if name not in frame]
        problems += [Problem(f"column {name!r} is missing", file=str(file)) for name in missing]
        # Rounds of different measurements are different rounds.
        frames.append(frame.assign(measurement=number))
        manifests.append(_manifest(file))
    devices = sorted({m["device"]["name"] for m in manifests if m})
    if len(devices) > 1:
        problems.append(Problem(f"samples are of different devices: {', '.join(devices)}"))
    if problems:
        raise ScenarioError(problems)
    return pd.concat(frames, ignore_index=True), tuple(m for m in manifests if m)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(path.glob("samples-*.parquet"))
        if not found:
            raise ScenarioError(Problem("holds no samples-*.parquet", file=str(path)))
        return found
    if not path.is_file():
        raise ScenarioError(Problem("does not exist", file=str(path)))
    return [path]


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:120] if str(error).strip() else "unreadable"


def _manifest(file: Path) -> dict[str, Any]:
    path = file.with_suffix(".json")
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ScenarioError(Problem("is no manifest", file=str(path))) from None
    if not isinstance(found, dict) or "device" not in found:
        raise ScenarioError(Problem("is no manifest: it names no device", file=str(path)))
    return found


def clean_samples(raw: pd.DataFrame, manifests: Sequence[dict[str, Any]] = ()) -> Samples:
    """Return the median of every point over its rounds.

    Left out and counted: readings that are not numbers or not positive, of rounds whose sentinel
    moved, outliers, and points with fewer than three readings.

    Raises
    ------
    ScenarioError
        If nothing is left.
    """
    import numpy as np

    frame = raw[raw["role"] == ""] if "role" in raw else raw
    if "measurement" not in frame:
        frame = frame.assign(measurement=0)
    dropped: dict[str, Dropped] = {}
    turn = frame[["measurement", "round"]].drop_duplicates()
    moved = frame[frame["round_moved"].astype(bool)][["measurement", "round"]].drop_duplicates()
    finite = frame[["time_s", "flops", "bytes"]].apply(np.isfinite).all(axis=1)
    frame = _keep(frame, finite, "not a number", dropped)
    frame = _keep(frame, frame["time_s"] > 0.0, "not positive", dropped)
    frame = _keep(frame, ~frame["round_moved"].astype(bool), "round moved", dropped)
    frame = _keep(frame, ~frame["outlier"].astype(bool), "outlier", dropped)
    count = frame.groupby("point")["time_s"].transform("size")
    frame = _keep(frame, count >= LEAST_READINGS, "too few readings", dropped)
    if frame.empty:
        reasons = _total(dropped)
        said = ", ".join(f"{reason} {number}" for reason, number in sorted(reasons.items()))
        raise ScenarioError(Problem(f"no usable samples: {said or 'the table is empty'}"))
    return Samples(
        table=_medians(frame),
        dropped=dropped,
        device=str(manifests[0]["device"]["name"]) if manifests else "",
        manifests=tuple(manifests),
        rounds=len(turn),
        moved=len(moved),
        good=_good(turn, moved, manifests),
    )


def _good(turn: pd.DataFrame, moved: pd.DataFrame, manifests: Sequence[dict[str, Any]]) -> int:
    """Return the number of rounds that did not move and that no manifest calls incomplete."""
    bad = {(int(m), int(r)) for m, r in moved.to_numpy()}
    for number, manifest in enumerate(manifests):
        whole = manifest.get("complete_rounds")
        if whole is not None and len(manifests) == turn["measurement"].nunique():
            bad |= {
                (number, int(r))
                for m, r in turn.to_numpy()
                if int(m) == number and int(r) not in whole
            }
    return len(turn) - len(bad)


def _keep(frame: pd.DataFrame, keep: Any, reason: str, dropped: dict[str, Dropped]) -> pd.DataFrame:
    lost = frame[~keep]
    for key, count in lost.groupby(["kind", "format", "provider"]).size().items():
        name = "/".join(str(part) for part in key)
        found = dropped.setdefault(name, {})
        found[reason] = found.get(reason, 0) + int(count)
    kept: pd.DataFrame = frame[keep]
    return kept


def _total(dropped: dict[str, Dropped]) -> Dropped:
    total: Dropped = {}
    for counts in dropped.values():
        for reason, count in counts.items():
            total[reason] = total.get(reason, 0) + count
    return total


def _medians(frame: pd.DataFrame) -> pd.DataFrame:
    """Return one row per point: the median of the rounds' medians, and how far those differ."""
    rounds = frame.groupby(["point", "measurement", "round"], sort=True)["time_s"].median()
    each = rounds.groupby("point")
    middle = each.median()
    made = frame.drop_duplicates("point").set_index("point").drop(columns=["time_s"])
    made["time_s"] = middle
    made["spread"] = (each.max() - each.min()) / middle
    made["readings"] = frame.groupby("point").size()
    made["rounds"] = each.size()
    table: pd.DataFrame = made.sort_index().reset_index()
    return table
