"""The KV of a request at a moment: who holds what before, during and after the hand-off."""

from __future__ import annotations

import pytest

from hetsim.errors import ScenarioError
from hetsim.inspect import kv_state
from hetsim.run import Result, run
from hetsim.scenario import load_scenario


@pytest.fixture(scope="module")
def result() -> Result:
    return run("quickstart", sets=["workload.requests=40"])


def owners(result: Result, request: int, at_s: float) -> dict[str, str]:
    return {one.block_set: one.owner for one in kv_state(result, request, at_s).holdings}


def test_holders_follow_the_transfer(result: Result) -> None:
    moved = result.transfers.iloc[3]
    request, start, end = (
        moved["request_id"],
        moved["start_s"],
        moved["start_s"] + moved["duration_s"],
    )
    half = owners(result, request, 0.5 * (start + end))
    assert half["Ps"].startswith("P") and half["Ds"].startswith("D")
    last = kv_state(result, request)
    assert all(one.owner == "" for one in last.holdings)
    assert last.bytes == pytest.approx(moved["bytes"])
    before = kv_state(result, request, 0.999 * start)
    assert before.bytes == 0.0 and before.tokens == last.tokens


def test_formats_are_those_of_the_scenario(result: Result) -> None:
    state = kv_state(result, 0)
    assert state.producer[0].enc == state.consumer[0].enc == "bf16"
    assert state.verdicts[0].kind == "identical"
    page = state._repr_html_()
    assert "KV of request 0" in page and "blocks on P" in page and "identical" in page


def test_what_is_not_there_is_said_so(result: Result) -> None:
    with pytest.raises(ScenarioError, match="no request 4000"):
        kv_state(result, 4000)
    alone = run("colocated_baseline", sets=["workload.requests=20"])
    with pytest.raises(ScenarioError, match="co-located"):
        kv_state(alone, 0)


def test_notebooks_show_scenarios_and_verdicts_as_text(result: Result) -> None:
    loaded = load_scenario("quickstart")
    assert "pools:" in loaded._repr_html_()
    assert "nothing differs" in kv_state(result, 0).verdicts[0]._repr_html_()
