"""Designs share what they have in common: the same devices are wrong by the same draw."""

from __future__ import annotations

import numpy as np
import pytest

from hetsim.decisions._left_out import Subject, factors_of, subject_of
from hetsim.decisions._worth import Worth
from hetsim.run import Discrepancy, Mixture, Scale
from hetsim.scenario import load_scenario

LIKE = {"dof": 30.0, "within_half": 0.1, "rows": 1, "pairs": 1}


def known(common: float, device: float, engine: float, layout: float) -> Discrepancy:
    mixture = Mixture(common=common, device=device, engine=engine, layout=layout)
    names = ("tpot", "ttft", "throughput")
    return Discrepancy(
        metrics={name: (Scale(scale=0.2, **LIKE),) for name in names},
        correlation={},
        shared=dict.fromkeys(names, mixture),
    )


def subject(devices: str, engines: str, layout: str) -> Subject:
    return Subject({"mode": "aggregated"}, devices, engines, layout)


def together(found: Discrepancy, a: Subject, b: Subject) -> float:
    pairs = [(factors_of(found, a, n)["tpot"], factors_of(found, b, n)["tpot"]) for n in range(300)]
    return float(np.corrcoef(np.log(pairs).T)[0, 1])


def test_parts_that_are_shared_are_drawn_once() -> None:
    base = subject("h100", "vllm", "tp1")
    device = known(0.0, 1.0, 0.0, 0.0)
    assert together(device, base, subject("h100", "sglang", "tp2")) == pytest.approx(1.0)
    assert abs(together(device, base, subject("b200", "vllm", "tp1"))) < 0.2
    mixed = known(0.3, 0.2, 0.2, 0.3)
    assert together(mixed, base, subject("h100", "vllm", "tp2")) == pytest.approx(0.7, abs=0.1)
    assert together(mixed, base, subject("b200", "sglang", "tp2")) == pytest.approx(0.3, abs=0.15)


def test_draws_repeat_and_nothing_known_moves_nothing() -> None:
    one = subject("h100", "vllm", "tp1")
    found = known(0.5, 0.2, 0.1, 0.2)
    assert factors_of(found, one, 3) == factors_of(found, one, 3)
    assert factors_of(found, one, 3) != factors_of(found, one, 4)
    assert factors_of(Discrepancy(metrics={}, correlation={}, shared={}), one, 3) == {}


def test_a_scenario_knows_its_situation() -> None:
    found = subject_of(load_scenario("colocated_baseline"), "a")
    assert found.situation == {"mode": "aggregated", "evidence": "own", "load": "flowing"}
    assert found.devices == "h100-sxm" and found.layout == "a"


def test_a_design_that_is_slower_than_predicted_is_worth_less() -> None:
    loaded = load_scenario("colocated_baseline", sets=["workload.requests=60", "slo.tpot=12 ms"])
    worth = Worth(loaded, "goodput_req_s")
    plain = worth.of(loaded)
    assert worth.of(loaded, factors={"tpot": 1.0, "ttft": 1.0, "throughput": 1.0}) == plain
    assert worth.of(loaded, factors={"tpot": 1.5}) < plain
    rate = Worth(loaded, "rate_req_s")
    assert rate.of(loaded, factors={"throughput": 0.5}) == pytest.approx(0.5 * rate.of(loaded))
    assert rate.of(loaded, factors={"tpot": 1.3}) < rate.of(loaded)
