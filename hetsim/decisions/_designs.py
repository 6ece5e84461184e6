"""Designs of a finished sweep: the best of each regime, by name, and their scenarios again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hetsim.errors import Problem, ScenarioError
from hetsim.scenario import Loaded, load_data
from hetsim.sweep import sense_of

if TYPE_CHECKING:
    import pandas as pd

    from hetsim.sweep import SweepResult

__all__ = ["Design", "by_regime", "scenario_of", "worth_column"]


class Design(NamedTuple):
    """One point of a sweep: its decisions by name, and what it is worth in its regime."""

    point: int
    levels: dict[str, str]
    value: float

    @property
    def name(self) -> str:
        """The levels of the decisions in one line."""
        return ", ".join(self.levels.values())


def worth_column(result: SweepResult) -> tuple[str, float]:
    """Return the response and its sense."""
    response = result.manifest["response"]
    return str(response["metric"]), sense_of(response["metric"], response["sense"])


def by_regime(result: SweepResult) -> dict[str, list[Design]]:
    """Return the designs of every regime, the best first; those that cannot run are left out."""
    metric, sense = worth_column(result)
    table = result.means()
    if metric not in table or table.empty:
        raise ScenarioError(Problem(f"no point has a {metric!r}", "response.metric"))
    table = table.dropna(subset=[metric])
    table = table.assign(_worth=table[metric] if sense > 0 else 1.0 / table[metric])
    keys = [f"axis.{name}" for name in result.conditions]
    groups = table.groupby(keys, observed=True, sort=True) if keys else [(("all",), table)]
    return {", ".join(map(str, label)): _ordered(result, part) for label, part in groups}


def _ordered(result: SweepResult, table: pd.DataFrame) -> list[Design]:
    names = [name for name in result.axes if name not in result.conditions]
    order = table.sort_values(["_worth", "point"], ascending=[False, True], kind="stable")
    return [
        Design(
            int(row["point"]),
            {name: str(row[f"axis.{name}"]) for name in names},
            float(row["_worth"]),
        )
        for row in order.to_dict("records")
    ]


def scenario_of(result: SweepResult, point: int, seed: int) -> Loaded:
    """Return the scenario of a point and seed, as the sweep resolved it.

    Raises
    ------
    ScenarioError
        If the sweep keeps no scenarios (it was run without a folder).
    """
    if result.folder is None:
        raise ScenarioError(Problem("keeps no scenarios; run the sweep with --out"))
    import pandas as pd

    rows = result.points
    row = rows[(rows["point"] == point) & (rows["seed"] == seed)].iloc[0]
    kept = pd.read_parquet(Path(result.folder) / "scenarios.parquet")
    text = kept.loc[kept["content_hash"] == row["content_hash"], "scenario"]
    if not len(text):
        raise ScenarioError(Problem(f"holds no scenario of point {point}", "", str(result.folder)))
    data: Any = json.loads(str(text.iloc[0]))
    return load_data(data, base_dir=Path(result.folder), file=f"point {point}")
