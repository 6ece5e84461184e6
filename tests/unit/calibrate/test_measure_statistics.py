"""Repeats, intervals, outliers and tables, on readings whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hetsim.calibrate._row_table import fit_rows, rising, table_seconds
from hetsim.calibrate.measure import Reading
from hetsim.calibrate.measure._statistics import (
    Effort,
    half_width,
    inner_count,
    outliers,
    repeat_until_tight,
)


class Clock:
    """A clock that only readings move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def readings(times: list[float], effort: Effort) -> list[Reading]:
    clock = Clock()
    left = iter(times)

    def read() -> Reading:
        time_s = next(left)
        clock.now += time_s
        return Reading(time_s, time_s, time_s)

    return repeat_until_tight(read, effort, clock)


def test_the_interval_of_the_median_covers_it_in_about_95_of_100_cases() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(400):
        sample = sorted(np.exp(0.2 * rng.standard_normal(21)))
        width = half_width(list(sample)) * sample[10]
        # The interval is about symmetric around the median, 1 for this distribution.
        inside += abs(sample[10] - 1.0) <= 1.25 * width
    assert inside >= 0.93 * 400


def test_a_steady_kernel_is_read_as_seldom_as_allowed_and_a_noisy_one_more_often() -> None:
    effort = Effort(least=5, most=40, visit_s=1e9, tight=0.03)
    rng = np.random.default_rng(2)
    noisy = list(np.exp(0.15 * rng.standard_normal(100)))
    assert len(readings([1.0] * 100, effort)) == 5
    assert 5 < len(readings(noisy, effort)) <= 40


def test_a_visit_ends_when_its_time_is_up_but_not_before_three_readings() -> None:
    effort = Effort(least=5, most=40, visit_s=0.5, tight=0.0)
    assert len(readings([10.0] * 10, effort)) == 3
    assert len(readings([0.1] * 50, effort)) <= 7


def test_one_interruption_does_not_make_a_visit_longer() -> None:
    effort = Effort(least=5, most=40, visit_s=1e9, tight=0.03)
    assert len(readings([1.0, 1.0, 9.0, 1.0, 1.0, 1.0], effort)) == 5


def test_only_slow_readings_are_outliers() -> None:
    assert outliers([1.0, 1.0, 1.0, 0.2, 5.0]) == [False, False, False, False, True]
    assert not any(outliers([1.0, 9.0, 1.0])), "three readings cannot tell"


def test_short_kernels_run_often_in_one_reading() -> None:
    assert inner_count(1e-6, Effort(reading_s=1e-3)) in (1000, 1001)
    assert inner_count(0.0, Effort(reading_s=1e9)) == 10_000


def test_rising_keeps_what_rises_and_levels_what_does_not() -> None:
    assert list(rising([1.0, 2.0, 3.0], [1, 1, 1])) == [1.0, 2.0, 3.0]
    # Weighted: (3 * 1 + 1 * 3) / 4.
    assert list(rising([3.0, 1.0], [1, 3])) == [1.5, 1.5]


def projections(each: dict[float, float], levels: tuple[float, ...]) -> pd.DataFrame:
    """Return projections of known cost: ``level n k each[m]``, with larger shapes missing last."""
    rows = []
    for i, level in enumerate(levels):
        n, k = 1000.0 * (i + 1), 500.0
        for m, seconds in list(each.items())[: len(each) - (i == len(levels) - 1)]:
            rows.append({"m": m, "n": n, "k": k, "time_s": 1e-6 + level * n * k * seconds})
    return pd.DataFrame(rows)


def test_a_table_finds_the_cost_per_weight_whichever_shapes_are_missing() -> None:
    each = {1.0: 1e-10, 4.0: 2e-10, 16.0: 3e-10, 64.0: 9e-10}
    table = fit_rows(projections(each, (0.9, 1.0, 1.1, 1.3)), 1e-6)
    assert table is not None
    assert table.m == tuple(each)
    ratios = [got / want for got, want in zip(table.s_per_weight, each.values(), strict=True)]
    assert max(ratios) / min(ratios) < 1.001, "the shape of the curve is exact"
    assert 0.95 < ratios[0] < 1.15
    assert table.pooled == 0


def test_a_library_that_is_faster_at_more_rows_is_levelled_and_counted() -> None:
    each = {1.0: 1e-10, 2.0: 4e-10, 4.0: 3e-10, 8.0: 6e-10}
    table = fit_rows(projections(each, (1.0, 1.0, 1.0, 1.0)), 1e-6)
    assert table is not None
    assert table.pooled == 2
    assert list(table.s_per_weight) == sorted(table.s_per_weight)
    at = pd.DataFrame({"m": [2.0, 4.0], "n": [100.0] * 2, "k": [100.0] * 2})
    seconds = table_seconds(table, 0.0, at)
    assert seconds[0] == pytest.approx(seconds[1])


def test_too_few_shapes_make_no_table() -> None:
    assert fit_rows(projections({1.0: 1e-10, 2.0: 2e-10}, (1.0, 1.0)), 0.0) is None
