"""Measured against predicted, from a changed prediction back to the change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hetsim.deploy import observe
from hetsim.deploy._blame import Curve
from hetsim.deploy._observation import Observation
from hetsim.deploy._observe import compare
from hetsim.deploy._sensitivity import Perturbed, perturbed
from hetsim.errors import ScenarioError
from hetsim.run import run
from hetsim.scenario import Loaded, load_scenario

SETS = ("workload.requests=80", "workload.input.mean=600", "workload.output.mean=80")


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load_scenario("quickstart", sets=SETS)


def as_vllm(figures: dict[str, float]) -> dict[str, Any]:
    """Return figures as vLLM's benchmark would save them."""
    families = {"ttft_s": "ttft", "tpot_s": "tpot", "itl_s": "itl", "e2e_s": "e2el"}
    data: dict[str, Any] = {"total_input_tokens": 0, "request_rate": "inf", "model_id": "m"}
    for name, value in figures.items():
        family, statistic = name.split(".")
        if family in families:
            word = {"p50": "median"}.get(statistic, statistic)
            data[f"{word}_{families[family]}_ms"] = 1e3 * value
    data["request_throughput"] = figures["throughput.req_s"]
    data["output_throughput"] = figures["throughput.output_tok_s"]
    return data


def saved(folder: Path, loaded: Loaded, name: str, factor: float) -> Path:
    made = perturbed(loaded, name, factor)
    assert made is not None
    path = folder / "measured.json"
    path.write_text(json.dumps(as_vllm(made.figures())))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("host step time", 12.0),
        ("request overhead", 1.6),
        ("request overhead", 0.5),
        ("bandwidth efficiency", 1.7),
        ("compute efficiency", 0.4),
        ("compute efficiency", 1.8),
        ("link rate", 0.02),
        ("load", 0.6),
        ("load", 1.8),
    ],
)
def test_a_changed_parameter_is_found(
    name: str, factor: float, loaded: Loaded, tmp_path: Path
) -> None:
    found = observe(saved(tmp_path, loaded, name, factor), loaded)
    assert found.verdict.parameter == name, found.says
    assert found.verdict.candidates[0].factor == pytest.approx(factor, rel=0.1)
    assert name in found.says and found.next_step


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.5, 1.6])
def test_a_busy_link_is_found(factor: float, tmp_path: Path) -> None:
    sets = ["workload.requests=80", "workload.input.mean=4000", "workload.output.mean=80"]
    sets += ["workload.rate='3 req/s'", "network.nic='20 Gbit/s'"]
    busy = load_scenario("quickstart", sets=sets)
    found = observe(saved(tmp_path, busy, "link rate", factor), busy)
    assert found.verdict.parameter == "link rate", found.says
    assert found.verdict.candidates[0].factor == pytest.approx(factor, rel=0.05)


@pytest.mark.parametrize(
    ("name", "factor"), [("host step time", 1.5), ("bandwidth efficiency", 0.5)]
)
def test_what_two_parameters_explain_is_not_blamed_on_the_wrong_one(
    name: str, factor: float, loaded: Loaded, tmp_path: Path
) -> None:
    """Host and memory both stretch steps: told apart, or not determined, but never swapped."""
    found = observe(saved(tmp_path, loaded, name, factor), loaded)
    assert found.verdict.kind == "tied", found.says
    tied = {one.parameter: one.factor for one in found.verdict.tied}
    assert set(tied) == {"host step time", "bandwidth efficiency"}
    assert tied[name] == pytest.approx(factor, rel=0.1)
    assert "not determined" in found.says and "to tell them apart" in found.next_step


def test_the_prediction_itself_agrees(loaded: Loaded, tmp_path: Path) -> None:
    path = tmp_path / "measured.json"
    path.write_text(json.dumps(as_vllm(Perturbed(loaded=loaded).figures())))
    found = observe(path, loaded)
    assert found.verdict.kind == "agrees"
    assert all(row.ratio == pytest.approx(1.0) for row in found.rows)
    data = found.data()
    assert json.loads(json.dumps(data)) == data
    assert data["verdict"] == "agrees" and data["parameter"] is None


def test_a_run_directory_predicts_with_its_own_summary(loaded: Loaded, tmp_path: Path) -> None:
    run(loaded, out=tmp_path / "run")
    path = tmp_path / "run" / "summary.json"
    summary = json.loads(path.read_text())
    summary["ttft_s"]["mean"] *= 2.0
    path.write_text(json.dumps(summary))
    file = tmp_path / "measured.json"
    file.write_text(json.dumps(as_vllm(Perturbed(loaded=loaded).figures())))
    rows = {row.name: row.ratio for row in observe(file, tmp_path / "run").rows}
    assert rows["ttft_s.mean"] == pytest.approx(0.5)


def summary_of(loaded: Loaded) -> Any:
    return run(loaded).summary


def observation(**more: Any) -> Observation:
    figures = {"ttft_s.mean": 1.0, "tpot_s.mean": 0.008}
    return Observation(**{"format": "f", "label": "l", "figures": figures, **more})


CURVES = {"request overhead": Curve(points=((0.2, {"ttft_s.mean": 0.2}),))}


def test_one_engine_of_a_pair_is_not_judged_by_its_ttft(loaded: Loaded) -> None:
    seen = observation(server_side=True, gauges={"running": 9.0, "waiting": 2.0})
    found = compare("s", seen, summary_of(loaded), CURVES)
    judged = {row.name: row.judged for row in found.rows}
    assert judged == {"ttft_s.mean": False, "tpot_s.mean": True, "running": False, "waiting": False}
    assert any("own side" in doubt for doubt in found.doubts)
    client = compare("s", observation(), summary_of(loaded), CURVES)
    assert client.verdict.parameter == "request overhead"


def test_other_lengths_and_failures_are_said(loaded: Loaded) -> None:
    summary = summary_of(loaded)
    mean = summary["throughput"]["output_tok_s"] / summary["throughput"]["req_s"]
    seen = observation(workload={"output_tokens": 2.0 * mean, "failed": 3.0})
    doubts = "\n".join(compare("s", seen, summary, CURVES).doubts)
    assert "mean output tokens" in doubts and "3 requests failed" in doubts
    alike = observation(workload={"output_tokens": mean})
    assert compare("s", alike, summary, CURVES).doubts == ()


def test_of_several_runs_the_nearest_in_rate_is_taken(loaded: Loaded, tmp_path: Path) -> None:
    figures = Perturbed(loaded=loaded).figures()
    lines = []
    for factor in (0.1, 1.0, 4.0):
        data = as_vllm(figures) | {"mean_e2e_latency_ms": 1.0}
        data["request_throughput"] *= factor
        lines.append(json.dumps(data))
    path = tmp_path / "runs.jsonl"
    path.write_text("\n".join(lines))
    found = observe(path, loaded)
    assert found.observation.label.startswith("run 2 of 3")
    assert "nearest in rate" in found.doubts[0]


def test_what_cannot_be_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        observe(tmp_path / "absent.json", "quickstart")
    path = tmp_path / "measured.json"
    path.write_text(json.dumps({"request_throughput": 1.0, "total_input_tokens": 1}))
    with pytest.raises(ScenarioError, match="did you mean 'quickstart'"):
        observe(path, "quickstar")


def test_a_closed_loop_has_no_rate_and_one_pool_no_link() -> None:
    one = load_scenario("colocated_baseline")
    assert perturbed(one, "link rate", 2.0) is None
    constant = load_scenario("queue_md1")
    assert perturbed(constant, "bandwidth efficiency", 2.0) is None
