"""What every shipped scenario keeps: it explains itself, loads, fits or says why not, and runs."""

from __future__ import annotations

import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hetsim.errors import InfeasibleError
from hetsim.run import run_loaded
from hetsim.scenario import Loaded, load_scenario, scenario_names, scenario_schema
from hetsim.spec import data_root
from hetsim.stages import build_plan

NAMES = scenario_names()
REFUSED = {"llama70b_h100_tp1"}
RUNNING = [name for name in NAMES if name not in REFUSED]
ENDS = ("finished", "rejected", "timed_out", "failed", "unfinished")


@cache
def few(name: str) -> Loaded:
    """The scenario with 30 requests."""
    return load_scenario(name, sets=["workload.requests=30"])


@cache
def shipped(name: str) -> Any:
    """The summary of the scenario as it is."""
    return run_loaded(load_scenario(name)).summary


def text_of(name: str) -> str:
    return (data_root("scenarios") / f"{name}.yaml").read_text(encoding="utf-8")


def test_there_are_enough() -> None:
    assert len(NAMES) >= 17


@pytest.mark.parametrize("name", NAMES)
def test_it_begins_with_schema_and_says_what_it_shows(name: str) -> None:
    first, *rest = text_of(name).splitlines()
    up = "../" * name.count("/")
    assert first == f"# yaml-language-server: $schema={up}scenario.schema.json"
    said = " ".join(
        line[1:].strip() for line in rest[: rest.index(next(x for x in rest if x[:1] != "#"))]
    )
    assert len(said.split()) >= 15
    assert max(map(len, rest)) <= 115


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_from_its_file_and_by_its_name(name: str, repo: Path) -> None:
    path = repo / "scenarios" / f"{name}.yaml"
    assert load_scenario(path).scenario == load_scenario(name).scenario


def test_names_in_reports_are_told_apart() -> None:
    titles = [load_scenario(name).scenario.name for name in NAMES]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", RUNNING)
def test_a_short_run_accounts_for_every_request(name: str) -> None:
    loaded = few(name)
    summary = run_loaded(loaded, check_laws=True).summary
    requests = summary["requests"]
    assert requests["arrived"] == sum(requests[end] for end in ENDS) >= 30
    if not loaded.scenario.faults:
        assert requests["arrived"] == 30 and requests["finished"] >= 29


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_cannot_fit_is_refused_with_the_sum(name: str) -> None:
    loaded = load_scenario(name)
    with pytest.raises(InfeasibleError) as caught, loaded.locating():
        build_plan(loaded.scenario, loaded.base_dir)
    said = str(caught.value)
    assert all(word in said for word in ("needs", "has", "short by", "weights per device"))


def test_the_shipped_schema_is_the_one_of_the_code() -> None:
    """Else: hetsim schema scenario > scenarios/scenario.schema.json."""
    path = data_root("scenarios") / "scenario.schema.json"
    assert json.loads(path.read_text(encoding="utf-8")) == scenario_schema()


# -- what the comments claim -----------------------------------------------------------------


@pytest.mark.slow
def test_quickstart_takes_seconds_and_meets_its_objectives() -> None:
    began = time.process_time()
    summary = shipped("quickstart")
    assert time.process_time() - began < 5.0
    assert summary["slo_met"]


@pytest.mark.slow
def test_the_load_that_collapses_on_two_devices_holds_on_four() -> None:
    two, four = shipped("llama70b_h100_tp2"), shipped("llama70b_h100_tp4")
    assert two["slo_attainment"] < 0.5
    assert two["unstable"]
    assert four["slo_attainment"] > 0.99


@pytest.mark.slow
def test_prefix_caching_spares_the_agents_prefill() -> None:
    sets = ["workload.requests=300"]
    kept = run_loaded(load_scenario("agentic_prefix", sets=sets)).requests
    without = [*sets, "pools.prefill.prefix_caching=false"]
    lost = run_loaded(load_scenario("agentic_prefix", sets=without)).requests
    assert kept["cached_tokens"].sum() > 0.3 * kept["isl_tokens"].sum()
    assert lost["cached_tokens"].sum() == 0
    assert kept["prefill_s"].mean() < lost["prefill_s"].mean()
