"""A sweep file is read whole or refused with every problem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetsim.errors import ScenarioError
from hetsim.spec._yaml import parse_yaml
from hetsim.sweep import load_sweep, sweep_data, sweep_names, sweep_schema


def read(text: str) -> Any:
    data, marks = parse_yaml(text, "s.yaml")
    return sweep_data(data, file="s.yaml", marks=marks)


def problems(text: str) -> str:
    with pytest.raises(ScenarioError) as error:
        read(text)
    return str(error.value)


GOOD = """
name: s
base: quickstart
axes:
  - {name: pair, levels: [
      {label: small, set: {pools.prefill.instances: 1, pools.decode.instances: 1}},
      {label: large, set: {pools.prefill.instances: 4, pools.decode.instances: 2}}]}
  - name: device
    paths: [pools.prefill.accelerator, pools.decode.accelerator]
    levels: [h100, h200, l40s]
  - {name: rate, path: workload.rate, levels: [10 req/s, 20 req/s], labels: [low, high]}
"""


def test_levels_set_values_groups_and_several_paths() -> None:
    sweep = read(GOOD)
    assert len(sweep.points) == 12
    assert [axis.labels for axis in sweep.axes] == [
        ("small", "large"),
        ("h100", "h200", "l40s"),
        ("low", "high"),
    ]
    loaded = sweep.resolve(sweep.points[11], seed=9)
    pools = loaded.scenario.pools
    assert (pools["prefill"].instances, pools["decode"].instances) == (4, 2)
    assert {pool.accelerator for pool in pools.values()} == {"l40s"}
    assert (loaded.scenario.workload.rate, loaded.scenario.seed) == (20.0, 9)


def test_workload_axes_are_conditions_and_pools_are_decisions() -> None:
    assert [axis.condition for axis in read(GOOD).axes] == [False, False, True]


def test_every_problem_is_named_at_once() -> None:
    text = problems("""
name: s
base: quickstrat
bogus: 1
axes:
  - {name: a, path: pools.prefill.accelerator, levels: []}
  - {name: b, levels: [1, 2]}
""")
    for part in (
        "s.yaml:4: bogus: unknown key",
        "s.yaml:3: base: no such scenario: did you mean 'quickstart'?",
        "s.yaml:6: axes[0].levels: has no level",
        "s.yaml:7: axes[1].levels[0]: is 1; an axis without a path",
        "s.yaml:7: axes[1].levels[1]: is 2;",
    ):
        assert part in text, text


def test_paths_and_values_are_held_against_the_base() -> None:
    text = problems("""
name: s
base: quickstart
axes:
  - {name: a, path: pools.prefil.accelerator, levels: [h100, h200]}
  - {name: b, path: pools.decode.accelerator, levels: [h100, h1000]}
  - {name: c, path: pools.decode.parallel.tp, levels: [1, two]}
  - {name: d, path: seed, levels: [1, 2]}
""")
    assert "s.yaml:5: axes[0].path: pools.prefil.accelerator: unknown key" in text
    assert text.count("axes[0]") == 1
    assert "s.yaml:6: axes[1].levels[1]: pools.decode.accelerator: no accelerator 'h1000'" in text
    assert "s.yaml:7: axes[2].levels[1]: pools.decode.parallel.tp" in text
    assert "seeds are replications.seeds" in text


def test_axes_that_set_the_same_thing_are_refused() -> None:
    text = problems("""
name: s
base: quickstart
axes:
  - {name: a, path: pools.prefill.parallel, levels: [{tp: 1}, {tp: 2}]}
  - {name: a, path: pools.prefill.parallel.tp, levels: [1, 2]}
  - {name: c, path: pools.decode.instances, levels: [1, 1]}
""")
    assert "another axis is called 'a'" in text or "stands twice" in text
    text = problems("""
name: s
base: quickstart
axes:
  - {name: a, path: pools.prefill.parallel, levels: [{tp: 1}, {tp: 2}]}
  - {name: b, path: pools.prefill.parallel.tp, levels: [1, 2]}
""")
    assert "which axis 'a' sets as well" in text


def test_contradictory_constraints_and_objectives_are_refused() -> None:
    text = problems("""
name: s
base: quickstart
axes: [{name: a, path: pools.prefill.instances, levels: [1, 2]}]
constraints: {supply: {h100: 4, H100-SXM: 3}, accelerators_at_least: 5, accelerators_at_most: 2}
replications: {seeds: [1, 1]}
response: {metric: itl_s.p50}
""")
    assert "3 contradicts h100: 4: both are h100-sxm" in text
    assert "accelerators_at_least 5 contradicts accelerators_at_most 2" in text
    assert "a seed stands twice" in text
    assert "response.metric: has no bound to screen by" in text


def test_too_many_points_need_a_sample_size() -> None:
    names = ("prefill.instances", "decode.instances", "prefill.max_seqs", "decode.max_seqs")
    axes = [
        {"name": name, "path": f"pools.{name}", "levels": list(range(1, 1001))} for name in names
    ]
    with pytest.raises(ScenarioError, match=r"1e\+12 combinations.*sobol"):
        sweep_data({"name": "s", "base": "quickstart", "axes": axes})
    design = {"kind": "sobol", "samples": 100}
    small = [{**axis, "levels": axis["levels"][:50]} for axis in axes]
    sweep = sweep_data({"name": "s", "base": "quickstart", "axes": small, "design": design})
    assert len(sweep.points) == 100


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("pools.prefill.parallel.tp=7", "tp"),
        ("pools.prefill.memory_utilisation=0.01", "the base scenario cannot run"),
    ],
)
def test_a_base_that_fails_is_refused(change: str, words: str) -> None:
    from hetsim.scenario import load_scenario

    base = load_scenario("quickstart").data
    key, value = change.split("=")
    here = base
    *parents, last = key.split(".")
    for part in parents:
        here = here[part]
    here[last] = float(value) if "." in value else int(value)
    axes = [{"name": "a", "path": "pools.decode.instances", "levels": [1, 2]}]
    with pytest.raises(ScenarioError, match=words):
        sweep_data({"name": "s", "base": base, "axes": axes})


def test_every_shipped_sweep_loads() -> None:
    assert {"first_sweep", "joint_decisions"} <= set(sweep_names())
    for name in sweep_names():
        assert len(load_sweep(name).points)


def test_the_schema_knows_every_section() -> None:
    found = set(sweep_schema()["properties"])
    assert {"base", "axes", "design", "constraints", "replications", "response", "screen"} <= found


def test_joint_decisions_is_large_enough_for_interactions() -> None:
    sweep = load_sweep("joint_decisions")
    decisions = [axis for axis in sweep.axes if not axis.condition]
    conditions = [axis for axis in sweep.axes if axis.condition]
    assert sum(len(axis.levels) >= 3 for axis in decisions) >= 4
    assert np.prod([len(axis.levels) for axis in conditions]) >= 5
    assert len(sweep.seeds) >= 3


def test_a_scenario_in_place_of_a_sweep_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\npools: {}\n")
    with pytest.raises(
        ScenarioError, match="is a scenario, not a sweep; type: hetsim run"
    ) as caught:
        load_sweep(path)
    assert len(caught.value.problems) == 1


def test_a_sweep_in_place_of_a_scenario_is_told_once(tmp_path: Path) -> None:
    from hetsim.scenario import load_scenario

    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\naxes: []\n")
    with pytest.raises(
        ScenarioError, match="is a sweep, not a scenario; type: hetsim sweep"
    ) as caught:
        load_scenario(path)
    assert len(caught.value.problems) == 1


ONE_AXIS = """
name: s
base: quickstart
axes: [{name: a, path: pools.prefill.instances, levels: [1, 2]}]
"""


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            "response: {metric: ttft_p99}\nscreen: {keep: all}",
            "s.yaml:5: response.metric: no run has a 'ttft_p99'; did you mean 'ttft_s.p99'?",
        ),
        (
            "screen:\n  keep: front\n  objectives:\n    - goodput_req_s\n    - tpot_s.p95",
            "s.yaml:9: screen.objectives[1]: no run has a 'tpot_s.p95'; did you mean 'tpot_s.p9",
        ),
        (
            "screen: {keep: all, objectives: [stages.decod.mfu]}",
            "screen.objectives[0]: no run has a 'stages.decod.mfu'; did you mean 'stages.decode",
        ),
        ("response: {metric: bottleneck}\nscreen: {keep: all}", "is text, and no number"),
        (
            "response: {metric: rate_req_s}\nscreen: {keep: all}",
            "response.metric: 'rate_req_s' needs response: {measure: capacity}",
        ),
        (
            "response: {metric: goodput_req_s, measure: capacity}\nscreen: {keep: all}",
            "'goodput_req_s' is of one run, and a point measured by capacity has none",
        ),
        ("response: {metric: zzz}\nscreen: {keep: all}", "there are 'goodput_req_per_usd'"),
    ],
)
def test_a_metric_that_no_point_will_have_is_refused_before_any_runs(more: str, words: str) -> None:
    text = problems(ONE_AXIS + more)
    assert words in text, text
    assert text.endswith("1 problem; nothing was run.")


def test_pools_that_a_level_adds_have_metrics() -> None:
    text = ONE_AXIS.replace("axes: [", "axes: [{name: b, path: pools.extra, levels: [{}]}, ")
    more = "response: {metric: stages.extra.mfu}\nscreen: {keep: all}"
    assert "response.metric" not in problems(text + more)


@pytest.mark.slow
def test_every_number_of_a_run_is_a_known_metric_and_the_other_way_round() -> None:
    from hetsim.run import run, sustainable_rate
    from hetsim.scenario import load_scenario
    from hetsim.sweep import flatten
    from hetsim.sweep._metrics import known_metrics, metric_problem

    sets = ["slo.e2e=60 s", "workload.requests=40"]
    for name in ("quickstart", "residency_tiers", "colocated_baseline"):
        loaded = load_scenario(name, sets=sets)
        known = known_metrics(loaded.scenario.pools)
        row = flatten(run(loaded).summary)
        numbers = [key for key, value in row.items() if not isinstance(value, str)]
        assert [key for key in numbers if metric_problem(key, "", known)] == []
        money = {"usd_per_h", "goodput_req_per_usd"}
        missing = set(known) - set(row) - money
        assert all(".bound_by." in key for key in missing), missing
    row = flatten(sustainable_rate(load_scenario("quickstart", sets=sets)))
    numbers = [key for key, value in row.items() if not isinstance(value, str)]
    assert set(known_metrics((), "capacity")) - {"usd_per_h", "goodput_req_per_usd"} == set(numbers)


def test_a_missing_price_is_an_error_where_dollars_are_asked() -> None:
    text = """
name: s
base: quickstart
axes: [{name: d, path: pools.decode.accelerator, levels: [h100, h20]}]
"""
    per_usd = "response: {metric: goodput_req_per_usd}\n"
    found = problems(text + per_usd)
    assert "s.yaml:4: axes[0].levels[1]: no price is known for h20-96" in found
    assert "prices: {h20-96: 2 USD/h}" in found
    assert "no price is known" in problems(text + "screen: {keep: front}\n")
    assert len(read(text).points) == 2  # no dollars are asked for
    axis = "  - {name: p, levels: [{label: a, set: {prices.h20: 1 USD/h}}]}\n"
    listed = text.replace("axes: [", "axes:\n  - ").replace("]}]", "]}") + axis
    assert len(read(listed + per_usd).points) == 2


@pytest.mark.parametrize("key", ["name", "axis", "label"])
def test_names_are_printable_as_a_scenarios_are(key: str) -> None:
    data: dict[str, Any] = {
        "name": "s",
        "base": "quickstart",
        "axes": [{"name": "a", "path": "pools.prefill.instances", "levels": [1], "labels": ["x"]}],
    }
    bad = "evil\x1b[2Jname"
    if key == "name":
        data["name"] = bad
    elif key == "axis":
        data["axes"][0]["name"] = bad
    else:
        data["axes"][0]["labels"] = [bad]
    with pytest.raises(ScenarioError, match="printable characters"):
        sweep_data(data)
