"""``SweepResult``: the table of points, who won, what the screen was worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hetsim.errors import Problem, ScenarioError
from hetsim.sweep._objectives import front_rows, oriented, sense_of
from hetsim.sweep._plots import SweepPlots

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SweepResult", "load_sweep_result"]


class SweepResult:
    """What a sweep leaves. ``points`` has one row per point and seed; see the sweep guide."""

    def __init__(self, points: pd.DataFrame, manifest: dict[str, Any], folder: Path | None) -> None:
        self.points = points
        self.manifest = manifest
        self.folder = folder

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {word}" for word, n in self.counts.items())
        return f"SweepResult({self.manifest['name']}: {counts})"

    @property
    def axes(self) -> list[str]:
        """Names of the axes."""
        return list(self.manifest["axes"])

    @property
    def conditions(self) -> list[str]:
        """Names of the axes that are conditions: points compete within them."""
        return [name for name, role in self.manifest["axes"].items() if role == "condition"]

    @property
    def counts(self) -> dict[str, int]:
        """Points (not rows) by status; the worst of its seeds names a point."""
        rank = ["simulated", "screened", "excluded", "infeasible", "illegal", "failed", "waiting"]
        codes = self.points["status"].map(rank.index).to_numpy()
        seeds = max(1, len(self.manifest["seeds"]))
        worst = codes.reshape(-1, seeds).max(axis=1) if len(codes) else codes
        return {word: int((worst == n).sum()) for n, word in enumerate(rank) if (worst == n).any()}

    @property
    def plot(self) -> SweepPlots:
        """Figures: ``result.plot.front()``, ``.parallel()``, ``.levels(AXIS)``."""
        return SweepPlots(self)

    def _repr_html_(self) -> str:
        from html import escape

        metric = self.manifest["response"]["metric"]
        columns = [f"axis.{name}" for name in self.axes]
        best = self.best[[*columns, metric]] if metric in self.best else self.best[columns]
        table: str = best.rename(columns=lambda name: name.removeprefix("axis.")).to_html(
            index=False, float_format="{:.4g}".format, border=0
        )
        return f"<p>{escape(repr(self))}; the best of each condition:</p>{table}"

    def means(self) -> pd.DataFrame:
        """Return one row per simulated point: levels, and metrics as the mean over its seeds."""
        table = self.points[self.points["status"] == "simulated"]
        whole = table.groupby("point")["seed"].transform("count") == len(self.manifest["seeds"])
        table = table[whole]
        labels = [f"axis.{name}" for name in self.axes]
        numbers = table.select_dtypes("number").columns.difference(["seed"])
        mean = table[numbers].groupby(table["point"]).mean().drop(columns="point", errors="ignore")
        head = table.groupby("point")[labels].first()
        return head.join(mean).reset_index()

    @property
    def best(self) -> pd.DataFrame:
        """The best point of every condition, by the response."""
        metric, sense = self.manifest["response"]["metric"], self.manifest["response"]["sense"]
        table = self.means()
        if metric not in table:
            return table.iloc[:0]
        score = table[metric] * sense_of(metric, sense)
        table = table.assign(_score=score).dropna(subset=["_score"])
        order = table.sort_values(["_score", "point"], ascending=[False, True], kind="stable")
        keys = [f"axis.{name}" for name in self.conditions]
        first = order.groupby(keys, observed=True).head(1) if keys else order.head(1)
        return first.drop(columns="_score").sort_values("point").reset_index(drop=True)

    def pareto(self, objectives: Sequence[str] = ()) -> pd.DataFrame:
        """Return the points of every condition that no other beats in all objectives.

        Left out, the objectives are those of the sweep. Points that were screened for the winner
        alone are missing: state ``screen: {keep: front}`` for a front that is complete.
        """
        import pandas as pd

        names = tuple(objectives) or tuple(self.manifest["screen"]["objectives"])
        table = self.means()
        names = tuple(name for name in names if name in table)
        keys = [f"axis.{name}" for name in self.conditions]
        groups = [part for _, part in table.groupby(keys, observed=True)] if keys else [table]
        senses = [sense_of(name) for name in names]
        parts = [part.iloc[front_rows(oriented(part, names, senses))] for part in groups]
        return pd.concat(parts).sort_values("point").reset_index(drop=True) if parts else table

    def usefulness(self) -> dict[str, Any]:
        """Return what the bound was worth: its ratio to the simulated response, points saved.

        A row is saturating where its bound lies below the rate at which requests arrive.
        """
        table = self.points
        tried = table["status"].isin(["simulated", "screened"])
        found: dict[str, Any] = {
            "screened_ratio": float((table["status"] == "screened").sum() / max(1, tried.sum())),
            "bound_over_simulated": None,
            "bound_over_simulated_saturating": None,
            "saturating_rows": 0,
        }
        if "bound.goodput_req_s" not in table or "goodput_req_s" not in table:
            return found
        done = table[(table["status"] == "simulated") & np.isfinite(table["bound.goodput_req_s"])]
        with np.errstate(divide="ignore"):
            ratio = done["bound.goodput_req_s"].to_numpy() / done["goodput_req_s"].to_numpy()
        full = (done["bound.goodput_req_s"] < 0.95 * done["offered_req_s"]).to_numpy()
        if len(ratio):
            found["bound_over_simulated"] = float(np.median(ratio))
        if full.any():
            found["bound_over_simulated_saturating"] = float(np.median(ratio[full]))
            found["saturating_rows"] = int(full.sum())
        return found

    def summary(self) -> dict[str, Any]:
        """Return what ``hetsim sweep --json`` prints."""
        metric = self.manifest["response"]["metric"]
        best = [
            {
                "point": int(row["point"]),
                "levels": {name: str(row[f"axis.{name}"]) for name in self.axes},
                metric: float(row[metric]),
            }
            for row in self.best.to_dict("records")
        ]
        found = {
            "name": self.manifest["name"],
            "points": len(self.points) // max(1, len(self.manifest["seeds"])),
            "seeds": list(self.manifest["seeds"]),
            "counts": self.counts,
            "response": metric,
            "best": best,
            "screen": self.usefulness(),
            "reasons": self._reasons(),
            "wall_s": self.manifest["wall_s"],
        }
        if self.manifest["screen"]["keep"] == "front":
            found["front"] = [int(point) for point in self.pareto()["point"]]
        return found

    def _reasons(self) -> dict[str, int]:
        """Return how many rows could not run, by reason, the most frequent first."""
        table = self.points
        bad = table[table["status"].isin(["infeasible", "illegal", "failed", "excluded"])]
        counts = Counter(str(reason or "") for reason in bad["reason"])
        return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:20])


def load_sweep_result(folder: str | Path) -> SweepResult:
    """Return the result that lies in a sweep directory.

    Raises
    ------
    ScenarioError
        If the folder holds no finished sweep.
    """
    import json

    import pandas as pd

    base = Path(folder)
    missing = [n for n in ("points.parquet", "manifest.json") if not (base / n).is_file()]
    if missing:
        raise ScenarioError(
            Problem(f"is not a finished sweep: {', '.join(missing)} missing", "", str(base))
        )
    manifest = json.loads((base / "manifest.json").read_text())
    return SweepResult(pd.read_parquet(base / "points.parquet"), manifest, base)
