from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hetsim.metrics import Runs, distribution, itl_runs, run_quantile, runs_mean

quiet = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

times = st.floats(1e-3, 1.0).map(lambda value: round(value, 4))


@st.composite
def segments(draw: Any) -> dict[str, Any]:
    batch = draw(st.integers(1, 6))
    steps = draw(st.integers(1, 9))
    first = draw(times)
    slope = draw(st.sampled_from([0.0, 1e-4, 3e-3])) if steps > 1 else 0.0
    return {
        "batch_size": batch,
        "joined": draw(st.integers(0, batch)),
        "steps": steps,
        "stall_s": draw(st.sampled_from([0.0, 0.01, 0.25])),
        "start_s": 1.0,
        "duration_s": 1.0,
        "first_step_s": first,
        "last_step_s": first + (steps - 1) * slope,
        "decode_tokens": batch * steps,
    }


def expanded(rows: list[dict[str, Any]]) -> list[float]:
    """Every gap, one by one: who joined with the first step has no gap before it."""
    gaps = []
    for row in rows:
        count = row["steps"]
        slope = (row["last_step_s"] - row["first_step_s"]) / (count - 1) if count > 1 else 0.0
        for member in range(row["batch_size"]):
            for step in range(count):
                gap = row["first_step_s"] + step * slope
                if step == 0:
                    if member < row["joined"]:
                        continue
                    gap += row["stall_s"]
                gaps.append(gap)
    return gaps


@quiet
@given(
    rows=st.lists(segments(), min_size=1, max_size=8),
    firsts=st.lists(times, max_size=4),
    more=st.lists(times, max_size=4),
)
def test_itl_quantiles_equal_a_brute_force_expansion(
    make: Any, rows: list[dict[str, Any]], firsts: list[float], more: list[float]
) -> None:
    requests = make(
        "requests",
        [
            {
                "arrival_s": 0.0, "first_token_s": 1.0, "second_token_s": 1.0 + gap,
                "last_token_s": 3.0, "decode_start_s": 1.0,
            }
            for gap in firsts
        ],
    )  # fmt: skip
    gaps = make("gaps", [{"request_id": 0, "gap_s": gap} for gap in more])
    runs = itl_runs(make("steps", rows), requests, gaps)
    # A first gap is the difference of two times, as the table holds it.
    values = np.array(expanded(rows) + [(1.0 + gap) - 1.0 for gap in firsts] + more)
    assert runs.total == len(values)
    if len(values) == 0:
        assert math.isnan(run_quantile(runs, 0.5))
        return
    wanted = distribution(values)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        assert run_quantile(runs, share) == pytest.approx(wanted[name], rel=1e-9)
    assert runs_mean(runs) == pytest.approx(values.mean(), rel=1e-12)


def test_a_first_gap_inside_the_batch_is_counted_once(make: Any) -> None:
    # D emits the first token at 1.5, in the batch that it joined at 1.0: the segment has the gap.
    requests = make(
        "requests",
        [
            {
                "arrival_s": 0.0, "first_token_s": 1.5, "second_token_s": 2.0,
                "last_token_s": 2.0, "decode_start_s": 1.0,
            }
        ],
    )  # fmt: skip
    step = {
        "start_s": 1.0, "duration_s": 1.0, "steps": 2, "joined": 1, "decode_tokens": 2,
        "first_step_s": 0.5, "last_step_s": 0.5,
    }  # fmt: skip
    runs = itl_runs(make("steps", [step]), requests, make("gaps", []))
    assert runs.total == 1
    assert run_quantile(runs, 0.5) == 0.5


def test_prefill_steps_have_no_gaps_and_warm_up_is_left_out(make: Any) -> None:
    steps = [
        {"start_s": 0.0, "duration_s": 1.0, "first_step_s": 1.0, "last_step_s": 1.0,
         "decode_tokens": 0},
        {"start_s": 1.0, "duration_s": 1.0, "first_step_s": 2.0, "last_step_s": 2.0},
        {"start_s": 5.0, "duration_s": 1.0, "first_step_s": 3.0, "last_step_s": 3.0},
    ]  # fmt: skip
    none, gaps = make("requests", []), make("gaps", [])
    assert itl_runs(make("steps", steps), none, gaps).total == 2
    late = itl_runs(make("steps", steps), none, gaps, measured_from_s=4.0)
    assert (late.total, run_quantile(late, 0.5)) == (1, 3.0)


def test_quantiles_of_many_runs_equal_the_expansion() -> None:
    """Enough runs that those which lie wholly below or above are set aside on the way."""
    draws = np.random.default_rng(5)
    first = draws.gamma(2.0, 0.01, 500).round(5)
    slope = draws.choice([0.0, 1e-5, 2e-4], 500)
    count, weight = draws.integers(1, 9, 500), draws.integers(1, 5, 500)
    values = np.sort(
        np.concatenate(
            [np.repeat(first[i] + np.arange(count[i]) * slope[i], weight[i]) for i in range(500)]
        )
    )
    runs = Runs(first, slope, count.astype(float), weight.astype(float))
    for share in (0.01, 0.5, 0.9, 0.99, 0.999, 1.0):
        wanted = values[int(np.ceil(share * len(values) - 1e-9)) - 1]
        assert run_quantile(runs, share) == pytest.approx(wanted, rel=1e-12)


def test_a_quantile_of_equal_values_is_that_value() -> None:
    ones = np.ones(3)
    runs = Runs(0.1 * ones, 0.0 * ones, 1e6 * ones, ones)
    assert run_quantile(runs, 0.99) == 0.1
