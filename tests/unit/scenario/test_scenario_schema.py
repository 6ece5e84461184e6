"""The schema for editors, and the starter."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from hetsim.errors import ScenarioError
from hetsim.scenario import Scenario, load_scenario, scenario_schema, starter
from hetsim.spec._schema import field_docs


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return scenario_schema()


def test_every_field_of_a_scenario_is_described(schema: dict[str, Any]) -> None:
    names = [field.name for field in dataclasses.fields(Scenario)]
    assert sorted(schema["properties"]) == sorted([*names, "profiles"])
    silent = [n for n in names if "description" not in schema["properties"][n]]
    assert silent == []


def test_units_examples_limits_and_defaults_are_told(schema: dict[str, Any]) -> None:
    slo = schema["$defs"]["Slo"]["properties"]
    assert slo["ttft"]["examples"] == ["2 s"]
    assert slo["tpot"]["examples"] == ["50 ms"]
    assert "second" in slo["ttft"]["description"]
    assert slo["percentile"]["default"] == 99.0
    assert schema["$defs"]["Parallel"]["properties"]["tp"]["minimum"] == 1
    assert "ttft" in schema["$defs"]["Slo"]["required"]
    assert schema["additionalProperties"] is False


def test_inherited_fields_keep_their_docs() -> None:
    from hetsim.topology import NicSpec

    assert field_docs(NicSpec)["nic"].startswith("Line rate")
    assert field_docs(NicSpec)["latency"].startswith("One way")


def test_without_source_there_are_no_docs(monkeypatch: Any) -> None:
    import inspect

    from hetsim.spec import _schema

    def gone(_: Any) -> str:
        raise OSError("no source")

    _schema.field_docs.cache_clear()
    _schema._module_docs.cache_clear()
    monkeypatch.setattr(inspect, "getsource", gone)
    assert field_docs(Scenario) == {}
    _schema.field_docs.cache_clear()
    _schema._module_docs.cache_clear()


# -- starter ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pair", "model"),
    [
        ("h100:h200", "llama-3.1-8b"),
        ("l40s:h20", "llama-3.1-70b"),
        ("H100-SXM:mi300x", "deepseek-v3"),
    ],
)
def test_a_starter_loads_as_it_is(pair: str, model: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(starter("mine.yaml", pair=pair, model=model))
    scenario = load_scenario(path).scenario
    assert scenario.name == "mine"
    assert scenario.model == model
    assert [pool.accelerator for pool in scenario.pools.values()] == pair.split(":")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pair", "model"),
    [("h100:h200", "llama-3.1-8b"), ("h100:h200", "gpt2-xl"), ("l40s:h20", "llama-3.1-70b")],
)
def test_a_starter_runs_below_saturation(pair: str, model: str, tmp_path: Path) -> None:
    from hetsim.run import run_loaded

    path = tmp_path / "mine.yaml"
    path.write_text(starter("mine", pair=pair, model=model))
    summary = run_loaded(load_scenario(path)).summary
    assert summary["requests"]["finished"] == 500
    assert not summary["unstable"]


def test_a_starter_takes_as_many_devices_as_the_weights_need() -> None:
    assert "{tp: 1}" in starter("x")
    assert "{tp: 4}" in starter("x", model="llama-3.1-70b", pair="h100:h100")


def test_a_starter_replays_a_trace(tmp_path: Path) -> None:
    (tmp_path / "a trace.csv").write_text("arrival_s,input_tokens,output_tokens\n0,10,2\n")
    path = tmp_path / "mine.yaml"
    path.write_text(starter("mine", trace="a trace.csv"))
    assert load_scenario(path).scenario.workload.path == "a trace.csv"


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ({"name": "<b>"}, "NAME"),
        ({"name": "x", "pair": "h100"}, "--pair"),
        ({"name": "x", "pair": "h100:"}, "--pair"),
        ({"name": "x", "pair": "h100:h2000"}, ""),
        ({"name": "x", "model": "lama"}, "model"),
    ],
)
def test_a_starter_of_nothing_is_refused(words: dict[str, str], path: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        starter(**words)
    assert caught.value.problems[0].path == path
