from __future__ import annotations

from typing import Any

import pytest

import hetsim
from hetsim.inspect._explain import typical_batch
from hetsim.inspect._subject import Subject
from hetsim.run import decode_step_s

SMALL = ["workload.requests=100"]


@pytest.mark.parametrize("name", ["quickstart", "colocated_baseline", "moe_wide_ep"])
def test_operators_add_up_to_the_step(name: str) -> None:
    found = hetsim.explain(name, sets=SMALL)
    for step in found["steps"]:
        total = sum(row["time_s"] for row in step["operators"])
        assert total == pytest.approx(step["time_s"], rel=1e-9)
        assert sum(row["share"] for row in step["operators"]) == pytest.approx(1.0)
        assert all(row["source"] for row in step["operators"])
        assert 0.0 < step["mfu"] < 1.0
        assert 0.0 < step["mbu"] <= 1.0


def test_every_pool_explains_its_own_stages() -> None:
    pair = hetsim.explain("quickstart", sets=SMALL)["steps"]
    assert [(step["pool"], step["stage"]) for step in pair] == [
        ("prefill", "prefill"),
        ("decode", "decode"),
    ]
    alone = hetsim.explain("colocated_baseline", sets=SMALL)["steps"]
    assert [step["stage"] for step in alone] == ["prefill", "decode"]


def test_the_typical_batch_balances_load_and_speed() -> None:
    subject = Subject("quickstart", SMALL)
    pool, demand = subject.last, subject.demand
    batch = typical_batch(subject, pool)
    assert demand.rate_req_s is not None
    tokens_per_s = demand.rate_req_s * demand.output_tokens
    step = decode_step_s(pool, batch, demand.context_tokens)
    before = decode_step_s(pool, batch - 1, demand.context_tokens)
    assert batch / step >= tokens_per_s > (batch - 1) / before


def test_an_overloaded_pool_runs_its_largest_batch() -> None:
    subject = Subject("quickstart", [*SMALL, "workload.rate=5000 req/s"])
    assert typical_batch(subject, subject.last) == subject.bounds.decode_batch


def test_constant_costs_have_one_row() -> None:
    found: dict[str, Any] = hetsim.explain("queue_md1")
    for step in found["steps"]:
        assert [row["name"] for row in step["operators"]] == ["constant"]
        assert [row["grade"] for row in step["operators"]] == ["stated"]
        assert step["time_s"] > 0.0
