"""Rules of ``residency``: every problem at its path, and a scenario that says nothing stays so."""

from __future__ import annotations

from typing import Any

import pytest

from hetsim.errors import InfeasibleError, ScenarioError
from hetsim.scenario import dump_scenario, load_data, load_scenario
from hetsim.stages import build_plan

NAME = "residency_tiers"


def problems(*sets: str, name: str = NAME) -> list[tuple[str, str]]:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(name, sets=sets)
    return [(problem.path, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("sets", "path", "says"),
    [
        (("pools.prefill.prefix_caching=false",), "residency.dram", "prefix_caching: true"),
        (("residency={}",), "residency", "states no tier"),
        (("residency.dram.capacity=1.5 TB",), "residency.dram.capacity", "hgx-h100 has 2.048 TB"),
        (("residency.writers=[prefil]",), "residency.writers", "did you mean 'prefill'"),
        (
            ("residency.remote=null", "residency.writers=[prefill]"),
            "residency.writers",
            "has no effect",
        ),
        (("boundary.transit=1 GB",), "boundary.transit", "has no effect with pull_lease"),
        (
            ("residency.dram.eviction={kind: lur}",),
            "residency.dram.eviction",
            "allowed: 'arc', 'lfu', 'lru', 'ttl'",
        ),
        (("residency.dram.eviction={kind: ttl}",), "residency.dram.eviction.after", "is missing"),
        (("residency.ssd={capacity: 1 TB}",), "residency.ssd.read_rate", "is missing"),
        (("residency.dram.capacity=0 GB",), "residency.dram.capacity", "must be above 0"),
    ],
)
def test_what_is_wrong_is_said_where_it_is_wrong(sets: tuple[str, ...], path: str, says: str):
    found = problems(*sets)
    assert any(p.startswith(path) and says in message for p, message in found), found


def test_a_remote_pool_needs_a_network():
    found = problems(
        "pools.serve.prefix_caching=true",
        "residency={remote: {capacity: 1 TB, nodes: 1, nics_per_node: 1}}",
        name="colocated_baseline",
    )
    assert [path for path, _ in found] == ["network"]


@pytest.mark.parametrize(
    ("protocol", "path"), [("pool_lease", "residency"), ("copy_out", "boundary.transit")]
)
def test_a_hand_off_over_a_store_needs_one(protocol: str, path: str):
    found = problems(f"boundary.ownership={protocol}", name="quickstart")
    assert [p for p, _ in found] == [path]


def test_a_tier_that_holds_not_one_unit_cannot_run():
    loaded = load_scenario(NAME, sets=["residency.dram.capacity=10 MB"])
    with pytest.raises(InfeasibleError, match=r"residency\.dram: not one unit"):
        build_plan(loaded.scenario, loaded.base_dir)


def test_written_out_and_read_again_it_is_the_same(tmp_path: Any):
    loaded = load_scenario(NAME, sets=["residency.ssd.eviction={kind: ttl, after: 5 s}"])
    path = tmp_path / "again.yaml"
    path.write_text(dump_scenario(loaded.scenario))
    assert load_scenario(path).scenario == loaded.scenario


def test_a_scenario_that_states_no_tiers_has_none():
    loaded = load_scenario("quickstart")
    plan = build_plan(loaded.scenario, loaded.base_dir)
    assert loaded.scenario.residency is None and plan.residency is None
    assert not plan.pools[0].rules.watched and plan.boundary.transit is None  # type: ignore[union-attr]
    assert {link.kind for link in plan.network.links}.isdisjoint({"ssd"})
    assert load_data(dict(loaded.data), base_dir=loaded.base_dir).scenario == loaded.scenario
