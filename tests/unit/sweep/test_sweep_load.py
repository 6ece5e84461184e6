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
