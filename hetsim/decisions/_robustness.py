"""One design for all regimes: what it loses in each, how ranks move, where P:D must be cut anew."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hetsim.decisions._designs import Design, by_regime
from hetsim.decisions._recut import recuts
from hetsim.decisions._write import write_answer

if TYPE_CHECKING:
    from hetsim.sweep import SweepResult

__all__ = ["regret_table", "robustness"]

_SHOWN = 10


def robustness(result: SweepResult, *, write: bool = True) -> dict[str, Any]:
    """Return regrets of the designs over all regimes, rank changes, the minimax choice, re-cuts.

    The regret of a design in a regime is what it loses against the best one there; designs that
    cannot run in some regime lose everything. The minimax choice loses least where it loses most.
    """
    regimes = by_regime(result)
    names = list(regimes)
    designs = list(dict.fromkeys(one.name for part in regimes.values() for one in part))
    values = np.zeros((len(designs), len(names)))
    place = {name: number for number, name in enumerate(designs)}
    known: dict[str, Design] = {}
    for column, part in enumerate(regimes.values()):
        for one in part:
            values[place[one.name], column] = one.value
            known.setdefault(one.name, one)
    regret = regret_table(values)
    order = np.lexsort((np.arange(len(designs)), regret.mean(axis=1), regret.max(axis=1)))
    ranks = _ranks(values)
    best = int(order[0])
    winners = {name: int(values[:, column].argmax()) for column, name in enumerate(names)}
    candidates = list(dict.fromkeys([*order[:_SHOWN].tolist(), *winners.values()]))
    answer = {
        "name": result.manifest["name"],
        "metric": str(result.manifest["response"]["metric"]),
        "regimes": names,
        "designs": len(designs),
        "minimax": _row(designs[best], known, regret[best], ranks[best], names),
        "table": [_row(designs[n], known, regret[n], ranks[n], names) for n in candidates],
        "winners": {name: known[designs[n]].levels for name, n in winners.items()},
        "rank_agreement": _agreement(values, names),
        "recut": recuts(
            result, regimes, designs[best], {k: designs[n] for k, n in winners.items()}
        ),
    }
    answer["says"] = _says(answer)
    if write and result.folder is not None:
        write_answer(Path(result.folder), "robustness", answer)
    return answer


def regret_table(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return ``1 - value / best of the column``; zero in a column where nothing is worth anything.

    >>> regret_table(np.array([[4.0, 1.0], [2.0, 2.0]])).tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """
    best = values.max(axis=0, keepdims=True)
    table: npt.NDArray[np.float64] = np.where(
        best > 0, 1.0 - values / np.where(best > 0, best, 1), 0
    )
    return table


def _ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the place of every design in every regime, 1 the best; equals share the better."""
    ranks: npt.NDArray[np.int64] = 1 + (values[None, :, :] > values[:, None, :]).sum(axis=1)
    return ranks


def _row(
    name: str,
    known: dict[str, Design],
    regret: npt.NDArray[np.float64],
    ranks: npt.NDArray[np.int64],
    regimes: list[str],
) -> dict[str, Any]:
    return {
        "levels": known[name].levels,
        "worst_regret": float(regret.max()),
        "mean_regret": float(regret.mean()),
        "regret": {r: float(v) for r, v in zip(regimes, regret, strict=True)},
        "rank": {r: int(v) for r, v in zip(regimes, ranks, strict=True)},
    }


def _agreement(values: npt.NDArray[np.float64], names: list[str]) -> list[dict[str, Any]]:
    """Return Kendall's tau of the rankings of every two regimes."""
    from scipy.stats import kendalltau

    found = []
    for a, b in combinations(range(len(names)), 2):
        tau = kendalltau(values[:, a], values[:, b]).statistic
        found.append({"a": names[a], "b": names[b], "tau": float(tau)})
    return found


def _says(answer: dict[str, Any]) -> list[str]:
    best = answer["minimax"]
    worst = max(best["regret"], key=best["regret"].get)
    lines = [
        f"least regret where it is worst: {', '.join(best['levels'].values())}, "
        f"{best['worst_regret']:.1%} in {worst}"
    ]
    different = len({tuple(levels.values()) for levels in answer["winners"].values()})
    lines.append(f"{different} different winners in {len(answer['regimes'])} regimes")
    lines += [
        f"{one['regime']}: {one['says']}" for one in answer["recut"]["minimax"] if one["must"]
    ]
    return lines
