"""A decision against the regime: what is lost in each regime by deciding for all of them alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hetsim.decisions._regret import base_rows, cell_weights, tables_of, taken, worth_apart
from hetsim.decisions._responses import Responses

__all__ = ["regime_pairs", "regime_share"]

Matrix = npt.NDArray[np.float64]
Pair = tuple[Matrix, Matrix]
"""What deciding apart is worth, and the levels to choose from."""


def regime_pairs(
    data: list[Responses], means: list[Matrix], factor: int
) -> list[tuple[Pair, Pair | None, dict[str, str]]]:
    """Return per regime what one level for all regimes is worth there, and what each level is.

    In both forms, with the levels in words. All regimes count alike: each is measured by its own
    mean design.
    """
    forms = {"uniform": [_margin(d, m, factor) for d, m in zip(data, means, strict=True)]}
    base = [_at_base(d, m, factor) for d, m in zip(data, means, strict=True)]
    if all(one is not None for one in base):
        forms["base"] = [one for one in base if one is not None]
    worth: dict[str, list[Pair]] = {}
    for name, margins in forms.items():
        overall = taken(np.mean(margins, axis=0))
        worth[name] = [(worth_apart(margin, [overall]), margin) for margin in margins]
    levels = data[0].factors[factor].levels
    for_all = levels[int(np.mean(forms["uniform"], axis=0)[0].argmax())]
    found = []
    for number, margin in enumerate(forms["uniform"]):
        at_base = worth["base"][number] if "base" in worth else None
        words = {"for_all": for_all, "here": levels[int(margin[0].argmax())]}
        found.append((worth["uniform"][number], at_base, words))
    return found


def regime_share(data: list[Responses], means: list[Matrix], factor: int) -> Matrix:
    """Return the share of the decision x regime effect in the variance of all regimes together."""
    few = [m[:1001] for m in means]
    margins = np.stack([_margin(d, m, factor) for d, m in zip(data, few, strict=True)])
    centred = margins - margins.mean(axis=2, keepdims=True)
    joint = centred - centred.mean(axis=0, keepdims=True)
    whole = np.concatenate([m[:, d.core] for d, m in zip(data, few, strict=True)], axis=1)
    total = whole.var(axis=1)
    share: Matrix = (joint**2).mean(axis=(0, 2)) / np.where(total > 0.0, total, 1.0)
    return share


def _margin(data: Responses, means: Matrix, factor: int) -> Matrix:
    core = np.flatnonzero(data.core)
    weights = cell_weights(data.codes[core], data.shape, (factor,))
    return tables_of(means[:, core], weights, (data.shape[factor],))


def _at_base(data: Responses, means: Matrix, factor: int) -> Matrix | None:
    rows = base_rows(data.codes, data.shape, (factor,))
    return None if rows is None else means[:, rows]
