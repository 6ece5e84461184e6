"""What counts, and by how much it is off."""

from __future__ import annotations

import numpy as np
import pytest

from hetsim.validate import Outcome, Row
from hetsim.validate._figures import figures, weights_of
from hetsim.validate._job import Job, Prediction
from hetsim.validate._rank import rank_layouts
from hetsim.validate._score import pairs_of, summary_of

OPEN = {"load_type": "open_loop", "request_rate": "10"}
FOUND = Prediction(ttft_ms=110.0, tpot_ms=8.0, out_tok_s=900.0, out_tok_s_per_accel=90.0)


def scored(serving: dict[str, str], **changes: str) -> set[str]:
    return set(pairs_of(Row("serving", "R", {**serving, **changes}), FOUND))


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({}, {"ttft", "tpot", "throughput"}),
        ({"notes": "out_tok_s derived by Little law"}, {"ttft", "tpot"}),
        ({"source": "inferencex-db (x)"}, {"ttft", "tpot"}),
        ({"notes": "TTFT dominated by queueing"}, {"tpot", "throughput"}),
        ({"load_type": "burst_all_at_once"}, {"throughput"}),
        ({"load_type": "max_throughput_offline"}, {"throughput"}),
        (OPEN | {"req_s": "5"}, {"tpot", "throughput"}),
        (OPEN | {"req_s": "9.9"}, {"ttft", "tpot", "throughput"}),
        ({"ttft_ms_mean": "", "tpot_ms_mean": "nan"}, {"throughput"}),
        ({"ttft_ms_mean": "0"}, {"tpot", "throughput"}),
    ],
)  # fmt: skip
def test_what_is_scored(serving, changes: dict[str, str], names: set[str]) -> None:
    assert scored(serving, **changes) == names


def test_doubtful_rows_are_not_scored(serving) -> None:
    assert pairs_of(Row("serving", "R", serving, "dtype: wrong"), FOUND) == {}


def outcome(serving: dict[str, str], predicted: float, measured: float, **row: str) -> Outcome:
    values = {**serving, "out_tok_s_per_accel": str(measured), **row}
    found = Prediction(out_tok_s_per_accel=predicted)
    made = Row("serving", "R", values)
    return Outcome(made, "ok", "", found, pairs_of(made, found))


def test_errors_are_signed_percent_with_linear_quantiles(serving) -> None:
    rows = [outcome(serving, p, 100.0) for p in (90.0, 120.0, 150.0)]
    found = summary_of(rows)["throughput"]
    assert (found.n, found.median_ape, found.bias) == (3, pytest.approx(20), pytest.approx(20))
    assert found.p90_ape == pytest.approx(44)
    assert summary_of([])["ttft"].median_ape is None


def test_layouts_are_ranked_within_one_load_only(serving) -> None:
    rows = [
        outcome(serving, 100.0, 100.0, tp="1"),
        outcome(serving, 60.0, 80.0, tp="2"),
        outcome(serving, 70.0, 50.0, tp="4"),
        # Another load, in which everything is faster, says nothing about layouts.
        outcome(serving, 5.0, 900.0, tp="8", isl="8192"),
    ]
    # 1 before 2 and 1 before 4 agree, 2 before 4 does not.
    assert rank_layouts(rows) == (3, pytest.approx(1 / 3))


def test_close_measurements_are_no_order(serving) -> None:
    rows = [outcome(serving, 1.0, 100.0, tp="1"), outcome(serving, 9.0, 98.0, tp="2")]
    assert rank_layouts(rows) == (0, None)


def columns(count: int, **changes: list[float]) -> dict[str, list]:
    made = {
        "request_id": [float(i) for i in range(count)],
        "arrival_s": [0.0] * count,
        "ttft_s": [1.0] * count,
        "tpot_s": [0.1] * count,
        "last_token_s": [float(i + 1) for i in range(count)],
        "osl_tokens": [10.0] * count,
        "isl_tokens": [5.0] * count,
        "prefill_end_s": [float(i + 1) for i in range(count)],
        "status": ["finished"] * count,
        "reason": [""] * count,
    }
    return {**made, **changes}


def test_the_first_wave_counts_as_one_of_ten() -> None:
    job = Job(data={"pools": {}}, load="closed", users=2, waves=10.0, osl=10)
    ttft = [11.0, 11.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    found = figures(job, columns(8, ttft_s=ttft), devices=1)
    assert found.ttft_ms == pytest.approx(2000.0)
    assert weights_of(job, np.arange(8.0)).sum() == pytest.approx(8.0)
    # Little's law: 2 users, 10 tokens each, in 2 s + 9 x 0.1 s.
    assert found.out_tok_s == pytest.approx(20 / 2.9)


def test_a_cut_queue_goes_on_at_its_steady_rate() -> None:
    job = Job(data={"pools": {}}, load="offline", requests=100, osl=10)
    found = figures(job, columns(40), devices=2)
    # One request of 10 tokens a second, then as before.
    assert found.out_tok_s == pytest.approx(10.0)
    assert found.out_tok_s_per_accel == pytest.approx(5.0)


def test_a_batch_is_all_tokens_over_the_time_of_the_last() -> None:
    job = Job(data={"pools": {}}, load="static", users=4, requests=4, osl=10)
    assert figures(job, columns(4), devices=1).out_tok_s == pytest.approx(10.0)


def test_a_steady_job_is_scored_past_its_start() -> None:
    job = Job(data={"pools": {}}, load="open", steady=True)
    arrival = np.arange(90.0)
    # The first 30 seconds fill the system: they are slow, and are not scored.
    ttft = np.where(arrival < 29.9, 9.0, 1.0)
    found = figures(
        job, columns(90, arrival_s=arrival, ttft_s=ttft, last_token_s=arrival + 10.0), devices=1
    )
    assert found.ttft_ms == pytest.approx(1000.0)
    # One request a second ends, however long the last ones take after the arrivals are over.
    tokens = columns(90)["osl_tokens"][0]
    assert found.out_tok_s == pytest.approx(tokens, rel=0.03)
