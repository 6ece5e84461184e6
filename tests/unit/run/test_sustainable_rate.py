"""The fast search of the sustainable rate: roots of noisy functions, and the careful search."""

from __future__ import annotations

import numpy as np
import pytest

from hetsim.errors import ScenarioError
from hetsim.metrics import worst_allowed
from hetsim.run import find_capacity, sustainable_rate
from hetsim.run._root import root_of
from hetsim.scenario import load_scenario


def test_roots_of_smooth_functions() -> None:
    found = root_of(lambda x: x**3 - 8.0, 1.5, 5.0, probes=10, width=0.01)
    assert found == pytest.approx(2.0, abs=0.01)


def test_what_holds_up_to_the_top_stops_there_after_two_probes() -> None:
    seen: list[float] = []
    assert root_of(lambda x: seen.append(x) or -1.0, 0.9, 1.0, probes=9, width=0.01) == 1.0
    assert seen == [0.9, 1.0]


def test_what_never_holds_is_given_up() -> None:
    seen: list[float] = []
    assert root_of(lambda x: seen.append(x) or 1.0, 0.0, 0.0, probes=50, width=0.01) is None
    assert len(seen) < 7


def test_noise_of_the_function_moves_the_root_less_than_one_probe_would() -> None:
    rng = np.random.default_rng(1)
    errors = [
        root_of(
            lambda x: 5.0 * (x + 0.2) + 0.1 * rng.standard_normal(), 0.0, 0.1, probes=8, width=0.01
        )
        for _ in range(200)
    ]
    assert float(np.std(errors)) < 0.1 / 5.0
    assert float(np.mean(errors)) == pytest.approx(-0.2, abs=0.005)


def test_severity_and_attainment_are_the_same_question() -> None:
    values = np.array([0.5, 2.0, np.inf, 0.9, 1.0, 0.1, 0.2, 0.3, 0.4, 0.6])
    for percentile in (50.0, 80.0, 90.0, 100.0):
        met = (values <= 1.0).mean() >= percentile / 100.0
        assert (worst_allowed(values, percentile) <= 1.0) == met
    assert worst_allowed(np.array([]), 99.0) == float("inf")


@pytest.mark.slow
def test_the_fast_search_agrees_with_the_careful_one() -> None:
    loaded = load_scenario("quickstart", sets=["workload.requests=2000", "slo.ttft=0.2 s"])
    fast, slow = sustainable_rate(loaded), find_capacity(loaded)
    assert fast["evaluations"] <= 8
    assert fast["rate_req_s"] == pytest.approx(slow["rate_req_s"], rel=0.05)
    assert fast["rate_req_s"] <= fast["bound_req_s"] * (1 + 1e-12)
    assert fast == sustainable_rate(loaded)


def test_a_workload_without_a_rate_is_refused() -> None:
    loaded = load_scenario(
        "quickstart",
        sets=[
            "workload={kind: closed_loop, users: 4, requests: 20, think: 1 s, "
            "input: {kind: fixed, tokens: 10}, output: {kind: fixed, tokens: 10}}"
        ],
    )
    with pytest.raises(ScenarioError, match="no rate to search"):
        sustainable_rate(loaded)
