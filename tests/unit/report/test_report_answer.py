from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest

from hetsim.report import run_answer


def said(result: Any, **changes: Any) -> Any:
    # The run of the fixture is short: its backlog still grows.
    summary = copy.deepcopy(result.summary) | {"unstable": False}
    for key, value in changes.items():
        summary[key] = {**summary[key], **value} if isinstance(value, dict) else value
    return run_answer(SimpleNamespace(summary=summary))


def test_a_run_within_its_slo_says_so_with_the_limits_and_the_cost(result: Any) -> None:
    answer = said(result)
    points = dict(answer.points)
    assert answer.good is True
    assert answer.verdict == "The SLO holds."
    assert "100.0% of the requests that arrived" in points["Does the SLO hold?"]
    assert "TTFT 1 s, TPOT 30 ms" in points["Does the SLO hold?"]
    assert f"{result.summary['cost_usd_per_mtok']:.3g} USD" in points["What does it cost?"]
    assert "on 2 accelerators" in points["What does it cost?"]
    assert "fitted" in points["How sure is this?"]


def test_a_missed_slo_is_no_success_and_says_which_limit(result: Any) -> None:
    answer = said(result, slo_met=False, slo_attainment=0.4, slo_missed_ratio={"ttft": 0.6})
    assert answer.good is False
    assert answer.verdict == "The SLO does not hold."
    assert "TTFT by 60.0%" in dict(answer.points)["What binds?"]


def test_an_unstable_run_that_meets_its_slo_is_no_success(result: Any) -> None:
    answer = said(result, unstable=True, backlog_growth_req_s=3.5)
    assert answer.good is None
    assert "too short to tell" in answer.verdict
    assert any("3.5 req/s" in line for line in answer.unknown)
    worse = said(result, unstable=True, slo_met=False)
    assert worse.good is False
    assert "arrive faster than they leave" in worse.verdict


def test_lost_requests_are_counted(result: Any) -> None:
    answer = said(result, requests={"rejected": 7, "timed_out": 2})
    text = dict(answer.points)["Does the SLO hold?"]
    assert "7 rejected, 2 timed out" in text
    assert "failed" not in text


def test_an_empty_run_claims_nothing(result: Any) -> None:
    counts = dict.fromkeys(result.summary["requests"], 0)
    answer = said(
        result, requests=counts, slo_attainment=None, slo_met=False, cost_usd_per_mtok=None
    )
    assert answer.good is None
    assert "Nothing can be said" in answer.verdict
    assert "Cost is not known" in dict(answer.points)["What does it cost?"]


def test_arrivals_without_an_end_are_a_failure(result: Any) -> None:
    answer = said(result, requests={"finished": 0}, slo_attainment=0.0, slo_met=False)
    assert answer.good is False


@pytest.mark.parametrize("grade", ["transferred", "datasheet"])
def test_a_weak_calibration_is_named_among_the_unknown(result: Any, grade: str) -> None:
    weak = said(result, calibration_grade=grade)
    assert any("No measurement" in line for line in weak.unknown)
    assert "by estimate" in weak.verdict
    assert not any("No measurement" in line for line in run_answer(result).unknown)


def test_few_requests_make_a_tail_uncertain(result: Any) -> None:
    few = dict(said(result, requests={"finished": 120}).points)["How sure is this?"]
    many = dict(said(result, requests={"finished": 5000}).points)["How sure is this?"]
    assert "rests on its 1 slowest" in few and "simulate more" in few
    assert "rests on its 50 slowest" in many and "simulate more" not in many


def test_stated_constants_are_no_measurement(result: Any) -> None:
    stated = said(result, calibration_grade="stated")
    assert stated.verdict == "The SLO holds for the step times that the scenario states."
    assert any("constants of the scenario" in line for line in stated.unknown)
    assert "the scenario's own constants" in dict(stated.points)["How sure is this?"]
