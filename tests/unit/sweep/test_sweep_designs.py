"""Designs: which combinations are points."""

from __future__ import annotations

import numpy as np
import pytest

from hetsim.sweep._designs import design_points, design_problems
from hetsim.sweep._types import Fractional, FullFactorial, LatinHypercube, Listed, Sobol


def test_full_factorial_holds_every_combination_once() -> None:
    points = design_points(FullFactorial(), [2, 3, 2], {})
    assert points.tolist() == sorted({tuple(row) for row in points.tolist()}) or len(points) == 12
    assert len({tuple(row) for row in points.tolist()}) == 12


@pytest.mark.parametrize(
    ("shape", "fraction"), [([3, 3, 3, 3], 3), ([3, 3, 3, 3], 9), ([2] * 5, 4), ([3, 3, 2, 2], 6)]
)
def test_a_fraction_is_balanced_in_levels_and_pairs(shape: list[int], fraction: int) -> None:
    design = Fractional(fraction=fraction)
    assert not design_problems(design, shape, {})
    points = design_points(design, shape, {})
    assert len(points) == np.prod(shape) // fraction
    for axis, levels in enumerate(shape):
        counts = np.bincount(points[:, axis], minlength=levels)
        assert counts.min() == counts.max(), axis
    if fraction in (3, 4):
        pairs = np.bincount(points[:, 0] * shape[1] + points[:, 1], minlength=shape[0] * shape[1])
        assert pairs.min() == pairs.max()


def test_a_fraction_that_does_not_divide_is_refused() -> None:
    (problem,) = design_problems(Fractional(fraction=5), [3, 3, 2], {})
    assert "prime 5" in problem.message


@pytest.mark.parametrize("kind", [LatinHypercube, Sobol])
def test_samples_use_every_level_about_equally(kind: type) -> None:
    points = design_points(kind(samples=64, seed=3), [4, 8, 16], {})
    assert len(points) <= 64
    for axis, levels in enumerate((4, 8, 16)):
        counts = np.bincount(points[:, axis], minlength=levels)
        assert counts.min() >= 64 // levels // 2
    again = design_points(kind(samples=64, seed=3), [4, 8, 16], {})
    assert np.array_equal(points, again)
    other = design_points(kind(samples=64, seed=4), [4, 8, 16], {})
    assert not np.array_equal(points, other)


def test_more_sobol_samples_continue_fewer() -> None:
    few = design_points(Sobol(samples=20, seed=1), [100] * 3, {}).tolist()
    more = design_points(Sobol(samples=50, seed=1), [100] * 3, {}).tolist()
    assert more[: len(few)] == few


def test_a_list_names_levels_by_label() -> None:
    labels = {"a": ("1", "2"), "b": ("x", "y")}
    design = Listed(points=({"a": 2, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}))
    assert not design_problems(design, [2, 2], labels)
    assert design_points(design, [2, 2], labels).tolist() == [[1, 0], [0, 1]]
    bad = Listed(points=({"a": 3, "c": 1},))
    told = [str(problem) for problem in design_problems(bad, [2, 2], labels)]
    assert any("no such axis" in text for text in told)
    assert any("no level 3" in text for text in told)
    assert any("states no level of axis 'b'" in text for text in told)
