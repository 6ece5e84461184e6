"""Leases that run out and requests that are turned away are counted in the summary."""

from __future__ import annotations

from typing import Any

import pytest

import hetsim
from hetsim.decisions import constraint_of
from hetsim.decisions._counted import bound_in_words
from hetsim.run import sustainable_rate
from hetsim.scenario import load_scenario


@pytest.mark.parametrize(
    ("scenario", "binding"),
    [("unrenewed_lease_faulty", True), ("unrenewed_lease_sound", False)],
)
def test_a_lease_that_runs_out_is_the_binding_constraint(scenario: str, binding: bool) -> None:
    result = hetsim.run(f"boundary/{scenario}")
    summary = result.summary
    moves = result.ownership
    lost = moves.loc[moves["cause"] == "timer:lease", "request_id"].nunique()
    assert summary["lease_expired_ratio"] == lost / summary["requests"]["arrived"]
    assert (summary["lease_expired_ratio"] > 0.1) == binding
    word = constraint_of(bound_in_words(summary["bottleneck"], summary))
    assert (word == "lease") == binding


def test_requests_that_are_turned_away_are_counted(queue: Any) -> None:
    full = hetsim.run(queue("pools.serve.queue_limit=1", "workload.rate=40 req/s")).summary
    away = full["requests"]["rejected"] / full["requests"]["arrived"]
    assert full["turned_away_ratio"] == pytest.approx(away)
    assert away > 0.1
    calm = hetsim.run(queue()).summary
    assert calm["turned_away_ratio"] == calm["lease_expired_ratio"] == 0.0


@pytest.mark.slow
def test_a_search_for_the_rate_counts_them_where_it_fails() -> None:
    found = sustainable_rate(load_scenario("boundary/unrenewed_lease_faulty"))
    assert 0.0 <= found["lease_expired_ratio"] <= 1.0
    assert found["turned_away_ratio"] == 0.0
