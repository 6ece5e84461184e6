"""Verdicts of claims come out either way, and wrong claim files are answered at their lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetsim.decisions import (
    ClaimTable,
    Finding,
    claim_data,
    claim_names,
    combine,
    composed_error,
    judge,
    load_claim,
    run_claims,
    run_published,
)
from hetsim.decisions._claims_types import Clause, Comparison, Joint, Limit, Observation
from hetsim.errors import ScenarioError
from hetsim.scenario import load_scenario

SEEDS = 4
NOISE = np.array([0.99, 1.0, 1.01, 1.0])


def table(values: Sequence[Sequence[float]], *, sense: float = 1.0, **more: Any) -> ClaimTable:
    """Return alternatives a, b, ... over conditions regime r0, r1, ...; seeds move both alike."""
    data = np.array(values)[:, :, None] * NOISE
    return ClaimTable(
        alternatives=tuple("abcdef"[: len(values)]),
        conditions=tuple({"regime": f"r{n}"} for n in range(len(values[0]))),
        columns={"worth": data},
        senses={"worth": sense},
        **more,
    )


def compare(expect: str, **more: Any) -> Comparison:
    return Comparison(first=("a",), second=("b",), expect=expect, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("a", "verdict"),
    [([2.0, 2.0], "supported"), ([1.0, 0.5], "refuted"), ([2.0, 0.5], "depends")],
)
def test_everywhere_comes_out_three_ways(a: list[float], verdict: str) -> None:
    found = judge(compare("everywhere"), table([a, [1.0, 1.0]]))
    assert found.verdict == verdict
    assert ("r0 only" in found.on) == (verdict == "depends")


@pytest.mark.parametrize(
    ("a", "verdict"),
    [([1.0, 0.5], "supported"), ([2.0, 2.0], "refuted"), ([2.0, 0.5], "depends")],
)
def test_nowhere_is_its_mirror(a: list[float], verdict: str) -> None:
    found = judge(compare("nowhere"), table([a, [1.0, 1.0]]))
    assert found.verdict == verdict
    assert ("r1 only" in found.on) == (verdict == "depends")


@pytest.mark.parametrize(
    ("a", "verdict"),
    [
        ([2.0, 0.5], "supported"),
        ([2.0, 2.0], "refuted"),
        ([0.5, 0.5], "refuted"),
        ([2, 1], "refuted"),
    ],
)
def test_somewhere_needs_a_win_and_a_loss(a: list[float], verdict: str) -> None:
    assert judge(compare("somewhere"), table([a, [1.0, 1.0]])).verdict == verdict


def test_somewhere_waits_for_what_the_seeds_leave_open() -> None:
    data = table([[2.0, 1.0], [1.0, 1.0]])
    data.columns["worth"][0, 1] *= [0.3, 2.0, 0.5, 1.5]
    found = judge(compare("somewhere"), data)
    assert (found.verdict, found.on) == ("depends", "the seeds: open in r1")


@pytest.mark.parametrize(
    ("a", "verdict", "says"),
    [
        ([0.5, 1.0, 2.0], "supported", "swaps between r1 and r2"),
        ([2.0, 2.0, 2.0], "refuted", "always wins"),
        ([0.5, 0.5, 0.5], "refuted", "never wins"),
        ([2.0, 0.5, 2.0], "refuted", "turns back"),
        ([2.0, 1.0, 0.5], "refuted", "turns back"),
    ],
)
def test_rising_follows_an_axis(a: list[float], verdict: str, says: str) -> None:
    found = judge(compare("rising", along="regime"), table([a, [1.0] * 3]))
    assert found.verdict == verdict
    assert says in found.says


def test_falling_is_rising_read_backwards() -> None:
    data = table([[2.0, 1.0], [1.0, 1.0]])
    assert judge(compare("falling", along="regime"), data).verdict == "supported"
    assert judge(compare("rising", along="regime"), data).verdict == "refuted"


def test_an_open_end_leaves_the_crossing_open() -> None:
    data = table([[1.0, 2.0], [1.0, 1.0]])
    data.columns["worth"][0, 0] *= [0.9, 1.3, 1.2, 1.0]
    found = judge(compare("rising", along="regime"), data)
    assert (found.verdict, found.on) == ("depends", "the seeds: open in all")


def test_noise_decides_nothing() -> None:
    data = table([[1.3], [1.0]])
    data.columns["worth"][0, 0] *= [0.5, 1.5, 0.6, 1.4]
    found = judge(compare("everywhere"), data)
    assert (found.verdict, found.on) == ("depends", "the seeds: open in r0")


def test_a_gain_within_the_tolerance_is_no_win() -> None:
    data = table([[1.1], [1.0]])
    assert judge(compare("everywhere", tolerance=0.05), data).verdict == "supported"
    assert judge(compare("everywhere", tolerance=0.15), data).verdict == "refuted"


def test_of_times_less_is_better() -> None:
    assert judge(compare("everywhere"), table([[0.5], [1.0]], sense=-1.0)).verdict == "supported"
    assert judge(compare("everywhere"), table([[2.0], [1.0]], sense=-1.0)).verdict == "refuted"


def test_who_cannot_run_loses_and_two_who_cannot_are_left_out() -> None:
    data = table([[1.0, np.nan, np.nan], [np.nan, 1.0, np.nan]])
    found = judge(compare("everywhere"), data)
    assert [cell.outcome for cell in found.cells] == ["holds", "fails", "none"]
    assert found.verdict == "depends"


def test_where_some_seeds_cannot_run_all_must_agree() -> None:
    many = np.ones((2, 1, 6))
    many[0] = 2.0
    many[1, 0, 0] = 0.0
    data = ClaimTable(("a", "b"), ({"regime": "r0"},), {"worth": many}, {"worth": 1.0})
    assert judge(compare("everywhere"), data).verdict == "supported"
    many[0, 0, 1] = 0.5
    assert judge(compare("everywhere"), data).verdict == "depends"


def test_each_side_sends_its_best() -> None:
    data = table([[1.0], [0.5], [3.0]])
    test = Comparison(first=("a", "c"), second=("b",), expect="everywhere")
    found = judge(test, data)
    assert found.cells[0].first == "c"
    assert found.cells[0].ratio == pytest.approx(6.0)


def test_a_bound_on_the_error_is_a_condition() -> None:
    """The better alternative is too inexact for the tight bound."""
    data = table([[1.0], [1.5], [2.0]], errors=(0.0, 0.03, 0.1), bounds=(0.05, 0.2))
    test = Comparison(first=("a", "c"), second=("b",), expect="everywhere")
    found = judge(test, data)
    assert [cell.first for cell in found.cells] == ["a", "c"]
    assert found.verdict == "depends"
    assert found.on == "error: holds at <= 20.0% only"


@pytest.mark.parametrize(("corrupt", "verdict"), [(3.0, "supported"), (0.0, "depends")])
def test_observations(corrupt: float, verdict: str) -> None:
    clauses = (
        Clause(alternatives=("a",), metric="worth", at_most=0),
        Clause(alternatives=("b",), metric="worth", at_least=1),
    )
    found = judge(Observation(clauses=clauses), table([[0.0], [corrupt]]))
    assert found.verdict == verdict
    swapped = judge(Observation(clauses=clauses), table([[5.0], [0.0]]))
    assert swapped.verdict == "refuted"


def test_what_was_not_measured_is_not_observed() -> None:
    clause = Clause(alternatives=("a",), metric="worth", at_most=0)
    assert judge(Observation(clauses=(clause,)), table([[np.nan]])).verdict == "refuted"


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        (("prefill-bound: compute of pool p", "prefill-bound: compute of pool p"), "supported"),
        (("decode-bound: memory bandwidth of pool d",) * 2, "refuted"),
        (("prefill-bound: compute of pool p", "decode-bound: KV capacity of pool d"), "depends"),
    ],
)
def test_limits(words: tuple[str, str], verdict: str) -> None:
    data = table([[1.0, 1.0]], bottlenecks={(0, 0): words[0], (0, 1): words[1]})
    assert judge(Limit(alternatives=("a",), constraints=("compute",)), data).verdict == verdict


def joint(*rows: tuple[str, str, str]) -> ClaimTable:
    regimes: dict[str, Any] = {}
    for regime, pair, word in rows:
        a, b = pair.split()
        pairs = regimes.setdefault(regime, {"pairs": []})["pairs"]
        pairs.append({"a": a, "b": b, "verdict": word})
    return table([[1.0]], joint={"regimes": regimes, "confidence": 0.95})


def test_joint_decisions_come_out_every_way() -> None:
    test = Joint()
    both = (("x", "p q", "binding"), ("y", "p q", "independent"))
    assert judge(test, joint(*both)).verdict == "supported"
    always = (("x", "p q", "binding"), ("y", "p q", "binding"), ("x", "p r", "independent"))
    assert judge(test, joint(*always)).on == "nothing that varies by regime"
    none = (("x", "p q", "independent"), ("y", "p q", "independent"))
    assert judge(test, joint(*none)).verdict == "refuted"
    unsure = (*none, ("x", "p r", "undecided"))
    assert judge(test, joint(*unsure)).on == "the seeds: 1 pairs are undecided"


def finding(verdict: Any, on: str = "", confidence: float = 1.0) -> Finding:
    return Finding(verdict, on, confidence, "")


def test_a_claim_is_as_good_as_its_parts() -> None:
    assert combine([finding("supported"), finding("supported")]).verdict == "supported"
    assert combine([finding("refuted"), finding("refuted")]).verdict == "refuted"
    found = combine([finding("supported", "", 0.9), finding("refuted", "", 0.95)])
    assert (found.verdict, found.on) == ("depends", "the part of the statement: part 2 is refuted")
    assert found.confidence == pytest.approx(0.85)
    assert combine([finding("supported"), finding("depends", "load")]).on == "load"


# -- files ---------------------------------------------------------------------------------


def quick() -> dict[str, Any]:
    """Return a claim of four short runs."""
    return {
        "name": "quick",
        "claim": "Two decode instances keep a better pace than one.",
        "base": "quickstart",
        "axes": [
            {"name": "decode", "path": "pools.decode.instances", "levels": [1, 2]},
            {
                "name": "load",
                "role": "condition",
                "levels": [
                    {"label": "low", "set": {"workload.rate": "2 req/s", "workload.requests": 40}}
                ],
            },
        ],
        "replications": {"seeds": [1, 2]},
        "response": {"metric": "tpot_s.p50"},
        "budget": {"rule": "none"},
        "tests": [{"kind": "compare", "first": ["2"], "second": ["1"], "expect": "everywhere"}],
    }


@pytest.mark.parametrize("published", [False, True])
def test_every_shipped_claim_can_be_set_up(published: bool) -> None:
    names = claim_names(published)
    assert len(names) >= (4 if published else 9)
    for name in names:
        spec = load_claim(name).spec
        assert spec.design, f"{name}: says nothing of when its design was fixed"
        assert (spec.published is not None) == published


def problems(change: dict[str, Any]) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        claim_data({**quick(), **change}, file="c.yaml", marks={("tests",): 9, (): 1})
    return [str(one) for one in caught.value.problems]


def test_wrong_fields_are_all_named() -> None:
    compare = quick()["tests"][0]
    said = problems({"budgets": {}, "tests": [{**compare, "expects": "x"}]})
    assert any("budgets: unknown key; did you mean 'budget'" in line for line in said)
    assert any("tests[0].expects" in line and "expect" in line for line in said)


def test_names_that_no_axis_has_are_named_at_their_line() -> None:
    bad = {"first": ["3"], "second": ["1"], "where": {"lod": ["low"], "load": ["hi"]}}
    said = problems({"tests": [{**quick()["tests"][0], **bad, "expect": "rising"}]})
    assert len(said) == 4
    assert all(line.startswith("c.yaml:9: tests[0].") for line in said)
    assert "tests[0].first: no alternative is called '3'" in said[0]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"tests": []}, "tests"),
        ({"replications": {"seeds": [1]}}, "replications.seeds"),
        ({"budget": {"rule": "per_usd"}}, "budget.rule"),
        ({"budget": {"rule": "same_hardware"}}, "budget.rule"),
        ({"budget": {"rule": "equal_cost"}}, "budget.within"),
        ({"tests": [{"kind": "joint"}]}, "tests[0]"),
    ],
)
def test_rules_between_fields(change: dict[str, Any], path: str) -> None:
    assert all(f": {path}: " in line for line in problems(change))


def test_the_composed_error_counts_every_rounding_once() -> None:
    plain = load_scenario("quickstart", sets=[])
    assert composed_error(plain.scenario) == 0.0
    sets = [
        ("pools.prefill.precision.weights", "fp8_e4m3"),
        ("pools.decode.precision.kv", "fp8_e4m3"),
        ("boundary.convert_at", "producer"),
    ]
    narrow = load_scenario("quickstart", sets=sets)
    assert composed_error(narrow.scenario) == pytest.approx(2**0.5 * 0.02644)
    wire = load_scenario("quickstart", sets=[*sets, ("boundary.wire", "fp8_e4m3")])
    assert composed_error(wire.scenario) == pytest.approx(2**0.5 * 0.02644)


@pytest.mark.slow
def test_a_claim_end_to_end_resumes_and_is_written(tmp_path: Path) -> None:
    import json

    import yaml

    path = tmp_path / "quick.yaml"
    path.write_text(yaml.safe_dump(quick()))
    first = run_claims([str(path)], out=tmp_path / "out", workers=1)
    one = first["claims"][0]
    assert one["verdict"] in ("supported", "refuted", "depends")
    assert one["grades"] == {"fitted": 4}
    assert one["regimes"] == ["low"]
    written = json.loads((tmp_path / "out" / "claims.json").read_text())
    assert written["claims"][0]["verdict"] == one["verdict"]
    assert f"| quick | {one['verdict']} |" in (tmp_path / "out" / "claims.md").read_text()
    assert run_claims([str(path)], out=tmp_path / "out", workers=1) == first
    manifest = json.loads((tmp_path / "out" / "quick" / "manifest.json").read_text())
    assert manifest["simulated_now"] == 0


def test_claims_that_were_not_named_keep_their_verdicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    from hetsim.decisions import _claims_run as room

    def told(claim: Any, **_: Any) -> dict[str, Any]:
        test = {"kind": "observe"}
        finding = {"verdict": "supported", "conditions": [], "test": test}
        return {
            "name": claim, "claim": claim, "verdict": "supported", "depends_on": "", "by": "",
            "confidence": 1.0, "regimes": [], "grades": {}, "seeds": [1], "tests": [finding],
            "response": {"metric": "m", "measure": "run"}, "model_version": room.MODEL_VERSION,
        }  # fmt: skip

    monkeypatch.setattr(room, "_loaded", lambda names: list(names))
    monkeypatch.setattr(room, "run_claim", told)
    first, second = claim_names()[:2]
    out = tmp_path / "out"
    run_claims([second, "own"], out=out)
    path = out / "claims.json"
    old = json.loads(path.read_text())
    old["model_version"] = old["claims"][0].pop("model_version") - 1
    path.write_text(json.dumps(old))
    assert [one["name"] for one in run_claims([first], out=out)["claims"]] == [first]
    kept = json.loads(path.read_text())
    assert [one["name"] for one in kept["claims"]] == [first, second, "own"]
    assert kept["claims"][1]["model_version"] == room.MODEL_VERSION - 1
    page = (out / "claims.md").read_text()
    assert f"Kept from an earlier run, of model version {room.MODEL_VERSION - 1}." in page
    assert page.count("Kept from") == 1


def test_rows_without_a_set_up_say_why(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("row_id,source\nXV00004,Helix\nXV99999,Nobody\n")
    found = run_published(path)
    assert found["reproduced"] == []
    reasons = [one["reason"] for one in found["not_set_up"]]
    assert "Pipelines over unlike nodes" in reasons[0]
    assert reasons[1] == "no set-up of it comes with hetsim"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ScenarioError, match="no row_id and no source"):
        run_published(path)


def test_the_schema_of_claims_is_the_one_of_the_code() -> None:
    """Else: hetsim schema claim > scenarios/claims/claim.schema.json."""
    import json

    from hetsim.decisions import claim_schema
    from hetsim.spec import data_root

    path = data_root("scenarios") / "claims" / "claim.schema.json"
    assert json.loads(path.read_text(encoding="utf-8")) == claim_schema()


def test_an_unknown_claim_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    from hetsim.cli import invoke

    assert invoke(["claims", "precision_by_rol"]) == 2
    assert "did you mean 'precision_by_role'" in capsys.readouterr().err
