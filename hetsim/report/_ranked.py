"""The simulated designs of a sweep in order, and their names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hetsim.sweep import sense_of

if TYPE_CHECKING:
    from hetsim.sweep import SweepResult

__all__ = ["Ranked"]


class Ranked:
    """``table`` has a row per simulated design, the best of every condition first.

    Its columns are those of :meth:`SweepResult.means`, with ``rank`` within the condition, and
    ``share``: the response against the best of the condition (1 = the best).
    """

    def __init__(self, result: SweepResult) -> None:
        response = result.manifest["response"]
        self.result = result
        self.metric: str = response["metric"]
        self.sense = sense_of(self.metric, response["sense"])
        self.axes = result.axes
        self.conditions = result.conditions
        self.decisions = [name for name in self.axes if name not in self.conditions]
        self.seeds = len(result.manifest["seeds"])
        self.means: Any = self._levelled(result.means())
        self.table: Any = self._order(self.means)

    def _levelled(self, means: Any) -> Any:
        """Return the table with levels as categories, in the order in which they are stated."""
        import pandas as pd

        for name in self.axes:
            column = means[f"axis.{name}"]
            if isinstance(column.dtype, pd.CategoricalDtype):
                means[f"axis.{name}"] = column.cat.remove_unused_categories()
            else:
                means[f"axis.{name}"] = pd.Categorical(column, pd.unique(column))
        return means

    def levels(self, name: str) -> list[str]:
        """Return the levels of an axis that were simulated, in the order they are stated."""
        return [str(level) for level in self.means[f"axis.{name}"].cat.categories]

    def _order(self, means: Any) -> Any:
        if self.metric not in means or means.empty:
            return means.iloc[:0].assign(rank=[], share=[])
        table = means.dropna(subset=[self.metric])
        score = table[self.metric] * self.sense
        table = table.assign(_score=score)
        table = table.sort_values(["_score", "point"], ascending=[False, True], kind="stable")
        keys = self.keys
        if keys:
            groups = table.groupby(keys, observed=True)
            best = groups[self.metric].transform("first")
            table = table.assign(rank=groups.cumcount() + 1)
        else:
            best = table[self.metric].iloc[0] if len(table) else 1.0
            table = table.assign(rank=range(1, len(table) + 1))
        share = table[self.metric] / best if self.sense > 0 else best / table[self.metric]
        table = table.assign(share=share).drop(columns="_score")
        return table.sort_values([*keys, "rank"], kind="stable").reset_index(drop=True)

    @property
    def keys(self) -> list[str]:
        """Columns of the conditions."""
        return [f"axis.{name}" for name in self.conditions]

    @property
    def best(self) -> Any:
        """The best design of every condition."""
        return self.table[self.table["rank"] == 1]

    def second(self, row: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the runner-up in the condition of ``row``."""
        peers = self.table[self.table["rank"] == 2]
        for key in self.keys:
            peers = peers[peers[key] == row[key]]
        return None if peers.empty else dict(peers.iloc[0])

    def design(self, row: Mapping[str, Any]) -> str:
        """Return the decisions of a point in words."""
        return _words(self.decisions, row) or "the base design"

    def condition(self, row: Mapping[str, Any]) -> str:
        """Return the conditions of a point in words; empty where there are none."""
        return _words(self.conditions, row)

    def where(self, row: Mapping[str, Any]) -> str:
        """Return the levels of the conditions alone."""
        return ", ".join(str(row[f"axis.{name}"]) for name in self.conditions) or "all designs"

    @property
    def where_head(self) -> str:
        """Return the heading of a column of conditions."""
        return ", ".join(self.conditions) or "condition"

    @cached_property
    def robust(self) -> Any:
        """Designs that were simulated in every condition: the best worst case first.

        A row per design: ``worst`` and ``mean`` of its shares of the best, ``wins``, and the
        ``rows`` of the table.
        """
        import pandas as pd

        keys = [f"axis.{name}" for name in self.decisions]
        heads = ["worst", "mean", "wins", "rows"]
        if not keys or self.table.empty:
            return pd.DataFrame(columns=heads)
        table = self.table.assign(won=self.table["rank"] == 1)
        groups = table.groupby(keys, observed=True, sort=False)
        found = groups.agg(
            worst=("share", "min"), mean=("share", "mean"), n=("share", "count"),
            wins=("won", "sum"), first=("point", "min"),
        )  # fmt: skip
        found = found[found["n"] == len(self.best)]
        order = found.sort_values(["worst", "mean", "first"], ascending=[False, False, True],
                                  kind="stable").head(20)  # fmt: skip
        rows = [groups.get_group(key if len(keys) > 1 else (key,)) for key in order.index]
        return order.assign(rows=rows).reset_index(drop=True)[heads]

    def name(self, row: Mapping[str, Any]) -> str:
        """Return decisions and conditions."""
        return _words([*self.decisions, *self.conditions], row) or "the base design"

    def short(self, row: Mapping[str, Any]) -> str:
        """Return the levels alone."""
        return ", ".join(str(row[f"axis.{name}"]) for name in self.decisions) or "base"

    def by_seed(self, point: int) -> list[float]:
        """Return the response of a point with each seed."""
        rows = self.result.points
        rows = rows[rows["point"] == point].sort_values("seed", kind="stable")
        return [float(value) for value in rows[self.metric]]


def _words(names: list[str], row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {row[f'axis.{name}']}" for name in names)
