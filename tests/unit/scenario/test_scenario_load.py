"""Reading scenarios: files, names, and the changes of the command line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hetsim.errors import InfeasibleError, Problem, ScenarioError
from hetsim.scenario import Loaded, load_data, load_scenario, scenario_names, split_format

Write = Callable[[str], Path]


def refused(path: Any, **changes: Any) -> list[Problem]:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path, **changes)
    return list(caught.value.problems)


def test_a_file_becomes_a_scenario_that_knows_where_it_lies(written: Write, pair_text: str) -> None:
    path = written(pair_text)
    loaded = load_scenario(path)
    assert loaded.scenario.name == "pair"
    assert loaded.scenario.slo.tpot == 0.03
    assert loaded.base_dir == path.parent
    assert loaded.marks["pools.decode.instances"].line == 20


def test_a_bare_name_is_a_shipped_scenario(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_scenario("quickstart").scenario.name == "quickstart"
    assert load_scenario("quickstart.yaml").scenario.name == "quickstart"
    (tmp_path / "quickstart").mkdir()  # a run directory of that name is not meant
    assert load_scenario("quickstart").scenario.name == "quickstart"


def test_a_file_goes_before_a_shipped_name(
    tmp_path: Path, monkeypatch: Any, pair_text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart.yaml").write_text(pair_text)
    assert load_scenario("quickstart.yaml").scenario.name == "pair"


@pytest.mark.parametrize(
    ("name", "near"),
    [("quikstart", "'quickstart'"), ("pear.yaml", "pair.yaml"), ("zzz", "shipped")],
)
def test_an_unknown_name_is_answered_with_near_ones(
    name: str, near: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pair.yaml").touch()
    (problem,) = refused(name)
    assert "no such file" in problem.message
    assert near in problem.message


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000, "nowhere/s.yaml"])
def test_what_cannot_be_a_path_is_refused(name: str) -> None:
    assert len(refused(name)) == 1


def test_every_problem_comes_at_once_with_its_line(written: Write, pair_text: str) -> None:
    text = (
        pair_text.replace("tokens: 500", "tokens: -5")
        .replace("instances: 1\n", "instances: many\n")
        .replace("ttft: 1 s", "ttft: 1")
        .replace("boundary: {}", "boundry: {}")
    )
    found = {problem.path: problem.line for problem in refused(written(text))}
    assert found == {
        "workload.input.tokens": 7,
        "pools.decode.instances": 20,
        "slo.ttft": 26,
        "boundry": 25,
    }


def test_rules_between_fields_come_at_once_with_their_lines(written: Write, pair_text: str) -> None:
    text = (
        pair_text.replace("accelerator: h100", "accelerator: h1000")
        .replace("model: llama-3.1-8b", "model: lama-3.1-8b")
        .replace("boundary: {}", "boundary: {ownership: pull_lese}")
        .replace(
            "accelerator: h200\n    instances: 1\n    parallel: {tp: 1}",
            "accelerator: h200\n    instances: 1\n    parallel: {ep: 3}",
        )
    )
    found = {problem.path: problem.line for problem in refused(written(text))}
    assert found == {
        "model": 2,
        "pools.prefill.accelerator": 12,
        "pools.decode.parallel.ep": 21,
        "boundary.ownership": 25,
    }


# -- changes ---------------------------------------------------------------------------------


def test_sets_come_before_the_checks(written: Write, pair_text: str) -> None:
    path = written(pair_text)
    loaded = load_scenario(
        path,
        sets=[
            "pools.prefill.parallel.tp=2",
            "limits.rows=1000",
            "faults[0]={kind: decode_crash, at: 3 s}",
            "faults[0].restart_after=5 s",
            "prices.h100=2 USD/h",
        ],
        seed=9,
    )
    scenario = loaded.scenario
    assert scenario.pools["prefill"].parallel.tp == 2
    assert scenario.limits.rows == 1000
    assert scenario.faults[0].restart_after == 5.0
    assert scenario.prices == {"h100": 2.0}
    assert scenario.seed == 9
    assert loaded.data["limits"] == {"rows": 1000}


def test_a_problem_of_a_set_points_at_it(written: Write, pair_text: str) -> None:
    (problem,) = refused(written(pair_text), sets=["pools.prefill.parallel.tp=3"])
    assert problem.file == "--set pools.prefill.parallel.tp=3"
    assert problem.line is None
    assert "heads" in problem.message


def test_problems_of_the_file_and_of_sets_come_together(written: Write, pair_text: str) -> None:
    path = written(pair_text.replace("ttft: 1 s", "ttft: 1"))
    problems = refused(path, sets=["workload.rat=3 req/s", "seed=-1", "nonsense", "model=["])
    assert [problem.path for problem in problems] == ["workload.rat", "", "", "slo.ttft", "seed"]
    assert "did you mean 'rate'" in problems[0].message


def test_a_later_set_wins_and_takes_the_blame(written: Write, pair_text: str) -> None:
    path = written(pair_text)
    assert load_scenario(path, sets=["seed=-1", "seed=2"]).scenario.seed == 2
    (problem,) = refused(path, sets=["workload={kind: poisson}", "seed=1"])[:1]
    assert problem.file == "--set workload={kind: poisson}"


def test_a_workload_file_replaces_the_whole_section(
    written: Write, pair_text: str, tmp_path: Path, monkeypatch: Any
) -> None:
    path = written(pair_text)
    here = tmp_path / "here"
    here.mkdir()
    (here / "t.csv").write_text("arrival_s,input_tokens,output_tokens\n0,10,2\n1,20,3\n")
    monkeypatch.chdir(here)
    load = load_scenario(path, workload_file="t.csv").scenario.workload
    assert (load.kind, load.path, load.format) == ("trace", str(here / "t.csv"), None)
    assert load_scenario(path, workload_file="t.csv:generic_csv").scenario.workload.format == (
        "generic_csv"
    )


@pytest.mark.parametrize("word", ["none.csv", "t.csv:mooncak", "none.csv:mooncake", ""])
def test_a_workload_file_that_is_none_is_refused(
    word: str, written: Write, pair_text: str, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").touch()
    (problem,) = refused(written(pair_text), workload_file=word)
    assert problem.file == f"--workload {word}"


def test_split_format_prefers_a_file_whose_name_has_a_colon(tmp_path: Path) -> None:
    odd = tmp_path / "a:mooncake"
    odd.touch()
    assert split_format(str(odd)) == (str(odd), None)


# -- what comes after ------------------------------------------------------------------------


def test_problems_of_the_plan_get_their_lines(written: Write, pair_text: str) -> None:
    loaded = load_scenario(written(pair_text))
    with pytest.raises(ScenarioError) as caught, loaded.locating():
        raise ScenarioError(Problem("formats differ", "boundary.convert_at"))
    assert caught.value.problems[0].line == 25


def test_data_is_left_as_it_was(pair: Any) -> None:
    before = repr(pair)
    loaded = load_data(pair, sets=[("seed", 4), ("workload.requests", 3)])
    assert repr(pair) == before
    assert loaded.scenario.seed == 4
    assert isinstance(loaded, Loaded)


def test_prompts_beyond_the_context_are_infeasible(pair: Any) -> None:
    with pytest.raises(InfeasibleError, match=r"short by 68948(.|\n)*input: 200000 tokens"):
        load_data(pair, sets=["workload.input.tokens=200000"])
    with pytest.raises(InfeasibleError, match=r"Llama-3\.1-8B has 131072"):
        load_data(pair, sets=["workload.input={kind: lognormal, mean: 1e9, cv: 0.1}"])


def test_the_longest_that_fits_is_taken(pair: Any) -> None:
    load_data(pair, sets=["workload.input.tokens=131052", "workload.output.tokens=20"])
    with pytest.raises(InfeasibleError):
        load_data(pair, sets=["workload.input.tokens=131053", "workload.output.tokens=20"])


def test_shipped_names_are_sorted() -> None:
    assert list(scenario_names()) == sorted(scenario_names())
    assert "quickstart" in scenario_names()
