"""Where alternatives swap: analytic crossings, spans, and a scenario whose crossing is known."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hetsim.decisions import (
    BREAKEVEN_KEY,
    Alternative,
    Worth,
    add_record,
    breakeven,
    crossings,
    draw_breakeven,
    frontier_points,
    log_ratio,
    parse_span,
)
from hetsim.errors import ScenarioError
from hetsim.scenario import load_scenario


def test_analytic_crossings_are_found_between_the_looks() -> None:
    found, values = crossings(lambda x: (x - 0.3) * (x - 0.8), [0.0, 0.5, 1.0], steps=25)
    assert found == pytest.approx([0.3, 0.8], abs=1e-6)
    assert values == pytest.approx([0.24, -0.06, 0.14])


def test_the_last_interval_is_interpolated_where_that_is_asked() -> None:
    found, _ = crossings(lambda x: x - 1 / 3, [0.0, 1.0], steps=1, exact=True)
    assert found == pytest.approx([1 / 3])
    assert crossings(lambda x: log_ratio(1.0, x), [0.0, 0.5], steps=3, exact=True)[0] == []


def test_a_span_keeps_its_unit_and_whole_numbers_stay_whole() -> None:
    span = parse_span("network.nic=25 Gbit/s..400 Gbit/s")
    assert span.log
    assert span.setting(span.at(0.5)) == ("network.nic", "100 Gbit/s")
    assert parse_span("pools.decode.instances=1..3").setting(2.4) == ("pools.decode.instances", 2)
    for bad in ("x", "x=1", "x=3..1", "x=1 s..2 ms", "=1..2"):
        with pytest.raises(ScenarioError):
            parse_span(bad)


def queue() -> object:
    return load_scenario("quickstart", sets=["workload.requests=60"])


def test_two_equal_alternatives_are_refused() -> None:
    pair = (Alternative("one", []), Alternative("two", []))
    with pytest.raises(ScenarioError, match="the same"):
        breakeven(queue(), *pair, parse_span("pools.decode.instances=1..2"))


@pytest.mark.slow
def test_the_price_at_which_two_devices_swap_follows_from_their_rates(tmp_path: Path) -> None:
    """Dollars divide the rate: the crossing follows from two searches of the rate alone."""
    base, fixed = queue(), [("prices.prefill", "2 USD/h"), ("prices.h100-sxm", "3 USD/h")]
    pair = (
        Alternative("h200", [("pools.decode.accelerator", "h200"), *fixed]),
        Alternative("h100", [("pools.decode.accelerator", "h100"), *fixed]),
    )
    worth = Worth(base, "rate_req_s")
    first, second = (worth.value(one.sets) for one in pair)
    found = breakeven(base, *pair, parse_span("prices.h200-sxm=0.5..9 USD/h"), steps=6)
    one = found["frontier"][0]
    assert one["crossings"] == pytest.approx([(2.0 + 3.0) * first / second - 2.0], rel=0.02)
    assert (one["low_end"], one["high_end"]) == ("first", "second")
    assert len(one["closed_form"]) == 1
    assert len(frontier_points(found)["simulated"]) == 1
    draw_breakeven(found, tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 1000


def test_an_axis_that_an_alternative_sets_is_refused() -> None:
    base = queue()
    with pytest.raises(ScenarioError, match="axis varies"):
        breakeven(
            base,
            Alternative("one", [("network.nic", "100 Gbit/s")]),
            Alternative("two", []),
            parse_span("network.nic=25..400 Gbit/s"),
        )


def test_a_metric_that_no_run_has_is_refused_before_any_runs() -> None:
    pair = (Alternative("one", [("network.nic", "100 Gbit/s")]), Alternative("two", []))
    with pytest.raises(ScenarioError, match=r"no run has a 'ttft_p99'; did you mean 'ttft_s.p99'"):
        breakeven(queue(), *pair, parse_span("pools.decode.instances=1..2"), metric="ttft_p99")


def test_every_question_keeps_its_record(tmp_path: Path) -> None:
    def answer(first: str, along: str, across: str | None, says: str) -> dict[str, object]:
        return {
            "first": first,
            "second": "b",
            "metric": "rate_req_s",
            "along": {"path": along, "low": 1.0, "high": 2.0},
            "across": {"path": across} if across else None,
            "says": [says],
        }

    asked = [
        answer("a", "x", None, "1"),
        answer("a", "y", None, "2"),
        answer("c", "x", None, "3"),
        answer("a", "x", "y", "4"),
        answer("a", "x", None, "again"),
    ]
    for one in asked:
        path = add_record(tmp_path, "breakeven", one, BREAKEVEN_KEY)
    kept = json.loads(path.read_text())
    assert [one["says"] for one in kept] == [["2"], ["3"], ["4"], ["again"]]
    path.write_text(json.dumps(asked[1]))  # a single answer, as it once was written
    add_record(tmp_path, "breakeven", asked[0], BREAKEVEN_KEY)
    assert [one["says"] for one in json.loads(path.read_text())] == [["2"], ["1"]]
    path.write_text("{")
    add_record(tmp_path, "breakeven", asked[0], BREAKEVEN_KEY)
    assert [one["says"] for one in json.loads(path.read_text())] == [["1"]]
