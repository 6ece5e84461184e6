"""Shares of variance against closed forms and independent libraries."""

from __future__ import annotations

from itertools import product
from math import pi

import numpy as np
import pytest

from hetsim.decisions import anova_shares, effects_of, largest_rectangle


def grid(*shape: int) -> np.ndarray:
    return np.array(list(np.ndindex(*shape)), dtype=np.int64)


def test_additive_response_has_no_pairs() -> None:
    codes = grid(3, 4, 2)
    y = codes @ np.array([1.0, -2.0, 5.0])
    shares = anova_shares(codes, (3, 4, 2), y[None, :])
    assert sum(float(shares[f,][0]) for f in range(3)) == pytest.approx(1.0)
    for effect in effects_of(3)[3:]:
        assert float(shares[effect][0]) == pytest.approx(0.0, abs=1e-12)


def test_pure_interaction_has_no_main_effect() -> None:
    codes = grid(3, 3)
    y = ((codes[:, 0] + codes[:, 1]) % 3 == 0).astype(float)
    shares = anova_shares(codes, (3, 3), y[None, :])
    assert float(shares[0, 1][0]) == pytest.approx(1.0)
    assert float(shares[0,][0]) == pytest.approx(0.0, abs=1e-12)


def ishigami(x: np.ndarray) -> np.ndarray:
    return np.sin(x[:, 0]) + 7.0 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def test_ishigami_agrees_with_salib_and_the_closed_form() -> None:
    """Levels at the nodes of a quadrature: the discrete ANOVA is that of the integrals.

    All three terms of the function are trigonometric or even powers; equal slices and their middles
    converge with the square of the step, and two step sizes give the limit.
    """
    few, many = ishigami_shares(6), ishigami_shares(12)
    shares = {effect: (4.0 * many[effect] - few[effect]) / 3.0 for effect in many}
    from SALib.analyze import sobol
    from SALib.sample import sobol as sampler

    problem = {"num_vars": 3, "names": ["a", "b", "c"], "bounds": [[-pi, pi]] * 3}
    sample = sampler.sample(problem, 4096, calc_second_order=True, seed=1)
    found = sobol.analyze(problem, ishigami(sample), calc_second_order=True, seed=1)
    for factor in range(3):
        assert shares[factor,] == pytest.approx(float(found["S1"][factor]), abs=0.02)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert shares[a, b] == pytest.approx(float(found["S2"][a, b]), abs=0.03)
    # V1 = (1 + b pi^4 / 5)^2 / 2, V2 = a^2 / 8, V13 = 8 b^2 pi^8 / 225 with a = 7, b = 0.1.
    first, second, pair = (1 + 0.1 * pi**4 / 5) ** 2 / 2, 49 / 8, 8 * 0.01 * pi**8 / 225
    total = first + second + pair
    assert shares[0,] == pytest.approx(first / total, abs=0.01)
    assert shares[1,] == pytest.approx(second / total, abs=0.01)
    assert shares[0, 2] == pytest.approx(pair / total, abs=0.01)


def ishigami_shares(levels: int) -> dict[tuple[int, ...], float]:
    """Return our shares with so many levels of each factor."""
    codes = grid(levels, levels, levels)
    x = -pi + (codes + 0.5) * (2.0 * pi / levels)
    shares = anova_shares(codes, (levels,) * 3, ishigami(x)[None, :])
    return {effect: float(share[0]) for effect, share in shares.items()}


def test_random_factorial_agrees_with_statsmodels() -> None:
    import pandas as pd
    import statsmodels.api as sm
    from statsmodels.formula.api import ols

    rng = np.random.default_rng(3)
    shape = (3, 2, 4)
    codes = grid(*shape)
    y = rng.lognormal(size=len(codes))
    shares = anova_shares(codes, shape, y[None, :])
    table = pd.DataFrame(codes, columns=["a", "b", "c"]).assign(y=y)
    model = ols("y ~ C(a) + C(b) + C(c) + C(a):C(b) + C(a):C(c) + C(b):C(c)", table).fit()
    found = sm.stats.anova_lm(model, typ=2)["sum_sq"]
    total = ((y - y.mean()) ** 2).sum()
    for effect, share in shares.items():
        term = ":".join(f"C({'abc'[f]})" for f in effect)
        assert float(share[0]) == pytest.approx(found[term] / total, rel=1e-9)


def test_a_balanced_fraction_gives_the_shares_of_main_effects() -> None:
    codes = grid(3, 3, 3, 3)
    y = codes @ np.array([4.0, 2.0, 1.0, 0.5])
    part = codes[codes.sum(axis=1) % 3 == 0]
    whole = anova_shares(codes, (3,) * 4, y[None, :])
    some = anova_shares(part, (3,) * 4, (part @ np.array([4.0, 2.0, 1.0, 0.5]))[None, :])
    for effect in effects_of(4)[:4]:
        assert float(some[effect][0]) == pytest.approx(float(whole[effect][0]))


def test_rectangle_is_the_largest_without_infeasible_points() -> None:
    """Compared with trying every choice of levels."""
    rng = np.random.default_rng(5)
    shape = (3, 3, 2)
    codes = grid(*shape)
    for _ in range(20):
        feasible = rng.random(len(codes)) > 0.15
        kept = largest_rectangle(codes, shape, feasible)
        inside = np.logical_and.reduce([np.isin(codes[:, f], kept[f]) for f in range(3)])
        assert feasible[inside].all()
        best = 0
        for choice in product(*([s for s in subsets(n) if len(s) > 1] for n in shape)):
            there = np.logical_and.reduce([np.isin(codes[:, f], choice[f]) for f in range(3)])
            if feasible[there].all():
                best = max(best, int(there.sum()))
        if best:
            assert int(inside.sum()) == best


def subsets(n: int) -> list[tuple[int, ...]]:
    return [tuple(i for i in range(n) if mask >> i & 1) for mask in range(1, 1 << n)]
