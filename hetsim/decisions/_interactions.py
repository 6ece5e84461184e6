"""Which decisions must be made jointly: every pair of every regime, judged and written down."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hetsim.decisions._anova import anova_shares
from hetsim.decisions._constraints import constraints_of
from hetsim.decisions._graph import components
from hetsim.decisions._noise import REPLICATES, replicates
from hetsim.decisions._rectangle import largest_rectangle
from hetsim.decisions._regimes import regime_pairs, regime_share
from hetsim.decisions._regret import (
    base_rows,
    best_of,
    cell_weights,
    lost,
    margins_of,
    regret_uniform,
    tables_of,
    worth_of,
    worth_of_pairs,
)
from hetsim.decisions._responses import Responses, responses
from hetsim.decisions._verdicts import CONFIDENCE, THRESHOLD, bounds, interval, verdict
from hetsim.decisions._write import write_answer

if TYPE_CHECKING:
    from hetsim.sweep import SweepResult

__all__ = ["interactions", "interactions_of"]

Matrix = npt.NDArray[np.float64]
_FOR_SHARES = 1000
"""Replicates that the intervals of shares are taken from."""
CEILING = 0.2
"""Part of the points at the offered rate, or at zero, from which a fixed rate tells too little."""


def interactions(result: SweepResult, *, write: bool = True) -> dict[str, Any]:
    """Return which decisions of a sweep are joint, per regime; see :func:`interactions_of`.

    Written to ``decisions/interactions.json`` in the sweep's directory, if it has one.

    Raises
    ------
    ScenarioError
        If the sweep leaves points out, or has fewer than two decisions.
    """
    data = responses(result)
    found = {
        "name": result.manifest["name"],
        "response": dict(result.manifest["response"]),
        "seeds": list(result.manifest["seeds"]),
        **interactions_of(data),
    }
    found["notes"] = [*_notes(result, data), *found["notes"]]
    if write and result.folder is not None:
        write_answer(Path(result.folder), "interactions", found)
    return found


def interactions_of(
    data: list[Responses], *, threshold: float = THRESHOLD, count: int = REPLICATES
) -> dict[str, Any]:
    """Return shares, regrets, verdicts and components of every regime.

    The regret of a pair has two forms, each with a verdict: levels judged by their mean over all
    other levels (``regret`` and ``verdict``, which make the decision graph, since they depend on no
    base), and one axis at a time from the base (under ``base``: the trap of whoever changes one
    thing and sees no gain, because another still limits). Replicates of the means (a bootstrap over
    seeds) give bounds that hold for all pairs of all regimes at once; a pair is binding where the
    lower one is above ``threshold``, independent where the upper one is below, else undecided. A
    decision paired with the regime: what is lost in this regime by deciding for all regimes alike.
    """
    names = [factor.name for factor in data[0].factors]
    pairs: list[tuple[int, ...]] = list(combinations(range(len(names)), 2))
    triples: list[tuple[int, ...]] = list(combinations(range(len(names)), 3))
    with_regime = len(names) if len(data) > 1 else 0
    family = len(data) * (len(pairs) + with_regime)
    context = _Context(family, max(1, len(data) * len(triples)), threshold)
    studies = [
        _Study(one, replicates(one.relative(), count, np.random.default_rng(7919 + number)))
        for number, one in enumerate(data)
    ]
    regimes = {study.data.regime: _regime(study, pairs, triples, context) for study in studies}
    if with_regime:
        _add_regime(regimes, studies, context)
    for found in regimes.values():
        found["undecided"] = sum(pair["verdict"] == "undecided" for pair in found["pairs"])
    return {
        "threshold": threshold,
        "confidence": CONFIDENCE,
        "family": family,
        "method": (
            "regret = 1 - value of levels chosen one at a time / best value of the pair; levels "
            "are chosen by their mean over all other levels (base: one axis at a time from the "
            f"first levels); bounds from {count} replicates over seeds, Bonferroni over {family} "
            "comparisons; share = functional ANOVA"
        ),
        "notes": [],
        "regimes": regimes,
    }


@dataclass(frozen=True, slots=True)
class _Context:
    family: int
    triples: int
    threshold: float


@dataclass(frozen=True, slots=True)
class _Study:
    """One regime and the replicates of its means, ``[1 + replicates, design]``."""

    data: Responses
    means: Matrix


def _regime(
    study: _Study,
    pairs: list[tuple[int, ...]],
    triples: list[tuple[int, ...]],
    context: _Context,
) -> dict[str, Any]:
    data = study.data
    names = [factor.name for factor in data.factors]
    shares, anova_points = _shares(study)
    judged = [_pair(study, pair, shares.get(pair), context) for pair in pairs]
    joined = [_triple(study, triple, context) for triple in triples]
    ties = [[p["a"], p["b"]] for p in judged if p["verdict"] == "binding"]
    from_base = [
        [p["a"], p["b"]] for p in judged if p["base"] and p["base"]["verdict"] == "binding"
    ]
    ties += [t["members"] for t in joined if t["verdict"] == "binding"]
    maybe = [[p["a"], p["b"]] for p in judged if p["verdict"] == "undecided"]
    best = int(np.argmax(study.means[0]))
    return {
        "pairs": judged,
        "triples": [one for one in joined if one["verdict"] != "independent"],
        "main": [
            {"axis": name, **_share(shares.get((number,)))} for number, name in enumerate(names)
        ],
        "components": components(names, ties),
        "components_at_most": components(names, [*ties, *maybe]),
        "components_from_base": components(names, [*ties, *from_base]),
        "undecided": 0,
        "best": {f.name: f.levels[c] for f, c in zip(data.factors, data.codes[best], strict=True)},
        "designs": len(data.codes),
        "infeasible_ratio": float((~data.feasible).mean()),
        "anova_points": anova_points,
        "constraints": constraints_of(data),
    }


def _shares(study: _Study) -> tuple[dict[tuple[int, ...], Matrix], int]:
    """Return the ANOVA shares on the largest part of the design that can run, and its size."""
    data = study.data
    core = np.flatnonzero(data.core)
    kept = largest_rectangle(data.codes[core], data.shape, data.feasible[core])
    inside = np.ones(len(core), dtype=bool)
    for factor, levels in enumerate(kept):
        inside &= np.isin(data.codes[core, factor], levels)
    rows = core[inside]
    if len(rows) < 2:
        return {}, len(rows)
    codes = np.stack(
        [np.searchsorted(levels, data.codes[rows, f]) for f, levels in enumerate(kept)], axis=1
    )
    shape = tuple(len(levels) for levels in kept)
    found = anova_shares(codes, shape, study.means[: _FOR_SHARES + 1, rows])
    return dict(found), len(rows)


def _share(samples: Matrix | None) -> dict[str, Any]:
    if samples is None:
        return {"share": None, "share_ci": None}
    return {"share": float(samples[0]), "share_ci": list(interval(samples[1:]))}


def _forms(study: _Study, group: tuple[int, ...]) -> tuple[Matrix, Matrix | None]:
    """Return the tables of a group of factors: means over the others, and at the base."""
    data, sizes = study.data, tuple(study.data.shape[f] for f in group)
    core = np.flatnonzero(data.core)
    weights = cell_weights(data.codes[core], data.shape, group)
    uniform = tables_of(study.means[:, core], weights, sizes)
    rows = base_rows(data.codes, data.shape, group)
    base = None if rows is None else study.means[:, rows].reshape(len(study.means), *sizes)
    return uniform, base


def _pair(
    study: _Study, pair: tuple[int, ...], share: Matrix | None, context: _Context
) -> dict[str, Any]:
    uniform, base = _forms(study, pair)
    names = [study.data.factors[f].name for f in pair]
    found: dict[str, Any] = {
        "a": names[0],
        "b": names[1],
        **_share(share),
        **_judged(worth_of(uniform, from_base=False), uniform, context.family, context.threshold),
        **_choice(study, pair, uniform, from_base=False),
        "base": None,
    }
    if base is not None:
        found["base"] = {
            **_judged(worth_of(base, from_base=True), base, context.family, context.threshold),
            **_choice(study, pair, base, from_base=True),
        }
    return found


def _judged(apart: Matrix, tables: Matrix, family: int, threshold: float) -> dict[str, Any]:
    regret = lost(apart, best_of(tables))
    low, high = bounds(regret, apart, tables.reshape(len(tables), -1), family)
    return {
        "regret": float(regret[0]),
        "regret_ci": [low, high],
        "verdict": verdict(low, high, threshold),
    }


def _choice(
    study: _Study, group: tuple[int, ...], tables: Matrix, *, from_base: bool
) -> dict[str, Any]:
    """Return which levels are chosen one at a time, and which together."""
    picked = [margin.argmax(axis=1) for margin in margins_of(tables[:1], from_base=from_base)]
    joint = np.unravel_index(int(tables[0].argmax()), tables.shape[1:])
    factors = [study.data.factors[f] for f in group]
    return {
        "separate": {f.name: f.levels[int(p[0])] for f, p in zip(factors, picked, strict=True)},
        "joint": {f.name: f.levels[int(at)] for f, at in zip(factors, joint, strict=True)},
    }


def _triple(study: _Study, triple: tuple[int, ...], context: _Context) -> dict[str, Any]:
    """Return what a triple loses even if the best pair of it is decided together."""
    uniform, _ = _forms(study, triple)
    ways = [
        _judged(apart, uniform, context.triples, context.threshold)
        for apart in worth_of_pairs(uniform)
    ]
    factors = [study.data.factors[f] for f in triple]
    return {
        "members": [factor.name for factor in factors],
        **min(ways, key=lambda way: way["regret_ci"][0]),
        "regret_all_apart": float(regret_uniform(uniform[:1])[0]),
    }


def _add_regime(
    regimes: dict[str, dict[str, Any]], studies: list[_Study], context: _Context
) -> None:
    """Add to every regime the pairs of each decision with the regime."""
    every = [study.data for study in studies]
    means = [study.means for study in studies]
    for number, factor in enumerate(every[0].factors):
        share = regime_share(every, means, number)
        found = regime_pairs(every, means, number)
        for study, (uniform, base, words) in zip(studies, found, strict=True):
            judged = None
            if base is not None:
                judged = _judged(*base, context.family, context.threshold)
            regimes[study.data.regime]["pairs"].append(
                {
                    "a": factor.name,
                    "b": "regime",
                    **_share(share),
                    **_judged(*uniform, context.family, context.threshold),
                    **words,
                    "base": judged,
                }
            )


def _notes(result: SweepResult, data: list[Responses]) -> list[str]:
    """Return what a reader must know before he believes the answer."""
    notes = []
    response = result.manifest["response"]
    for one in data:
        zero = float((one.values[one.feasible] <= 0.0).mean()) if one.feasible.any() else 1.0
        for share, where in ((one.at_ceiling, "at the rate that is offered"), (zero, "at zero")):
            if share > CEILING:
                notes.append(
                    f"{one.regime}: {share:.0%} of the designs that can run are {where}: they "
                    "cannot be told apart; use response: {measure: capacity}"
                    if response["measure"] == "run"
                    else f"{one.regime}: {share:.0%} of the designs that can run are {where}"
                )
        if not one.feasible.all():
            notes.append(
                f"{one.regime}: {(~one.feasible).mean():.0%} of the designs cannot run: zero for "
                "the regret, left out of the shares"
            )
    if len(result.manifest["seeds"]) < 3:
        notes.append("fewer than three seeds: the bounds say little")
    return notes
