"""Refitting engine constants: a fit finds what made the data, and holds a pair out."""

from __future__ import annotations

import random
from math import log

import pytest

from hetsim.errors import ScenarioError
from hetsim.runtimes import get_runtime
from hetsim.validate import validate
from hetsim.validate._constants import CONSTANTS, engine_of, keys_of, nudged, presets, stated
from hetsim.validate._inside import interval_of
from hetsim.validate._refit import Observation, linear, refit
from hetsim.validate._sensitivity import MOST_PER_PAIR, fit_rows, observe_all
from hetsim.validate._table import read_tables

START = {"vllm.host_step_s": 0.001, "vllm.kernel_scale_decode": 1.0}


def _observation(pair: str, kernel_s: float, truth: dict[str, float], noise: float = 1.0):
    """Return a decode step of ``kernel_s`` of kernels and one host step, in milliseconds."""
    predicted = START["vllm.host_step_s"] + kernel_s
    measured = truth["vllm.host_step_s"] + kernel_s * truth["vllm.kernel_scale_decode"]
    slopes = {"vllm.host_step_s": 1e3, "vllm.kernel_scale_decode": 1e3 * kernel_s}
    return Observation("r", pair, "tpot", 1e3 * measured * noise, 1e3 * predicted, slopes)


def _data(truth: dict[str, float], pairs: str = "abcd") -> list[Observation]:
    rng = random.Random(3)
    return [
        _observation(pair, rng.uniform(0.002, 0.05), truth, rng.uniform(0.98, 1.02))
        for pair in pairs
        for _ in range(30)
    ]


def test_a_fit_finds_the_constants_that_made_the_data() -> None:
    truth = {"vllm.host_step_s": 0.003, "vllm.kernel_scale_decode": 1.2}
    found = refit(_data(truth), START)
    assert found.constants["vllm.kernel_scale_decode"] == pytest.approx(1.2, rel=0.02)
    assert found.constants["vllm.host_step_s"] == pytest.approx(0.003, rel=0.1)
    # One of the two is always paid with the other.
    assert found.correlation["vllm.host_step_s"]["vllm.kernel_scale_decode"] < -0.2
    assert 0.0 < found.rse["vllm.kernel_scale_decode"] < 0.1


def test_a_wild_pair_hardly_moves_the_fit() -> None:
    truth = {"vllm.host_step_s": 0.003, "vllm.kernel_scale_decode": 1.2}
    wild = [item._replace(pair="w", measured=7 * item.measured) for item in _data(truth, "a")]
    assert refit(_data(truth) + wild, START).constants["vllm.kernel_scale_decode"] < 1.25


def test_without_data_the_neutral_values_stay() -> None:
    item = Observation("r", "p", "ttft", 1.0, 1.0, {})
    for key, value in refit([item], START).constants.items():
        assert value == pytest.approx(CONSTANTS[key.split(".")[1]].neutral, rel=1e-3)


def test_constants_stay_within_bounds() -> None:
    truth = {"vllm.host_step_s": 0.9, "vllm.kernel_scale_decode": 9.0}
    found = refit(_data(truth), START).constants
    assert found["vllm.kernel_scale_decode"] <= CONSTANTS["kernel_scale_decode"].high
    assert found["vllm.host_step_s"] <= CONSTANTS["host_step_s"].high * (1 + 1e-9)


def test_linear_predictions_never_turn_negative() -> None:
    item = Observation("r", "p", "tpot", 1.0, 1.0, {"vllm.host_step_s": 2e3})
    assert linear(item, START, {"vllm.host_step_s": 1e-9}) == pytest.approx(0.1)


def test_stated_constants_change_nothing() -> None:
    for name, preset in presets(stated()).items():
        assert preset == get_runtime(name)


def test_constants_reach_every_preset_of_their_engine() -> None:
    made = presets({**stated(), "vllm.host_step_s": 0.0123, "all.handoff_overhead_s": 0.5})
    changed = {name for name, preset in made.items() if preset.host_step_s == 0.0123}
    assert {"vllm", "vllm_nixl_pull"} <= changed
    assert all(engine_of(name) == "vllm" for name in changed)
    assert made["sglang_early"].handoff_overhead_s == 0.5
    assert made["sglang"].handoff_overhead_s == 0.0


@pytest.mark.parametrize(
    ("load", "apart", "absent"),
    [
        ("offline", False, {"request_overhead_s", "admission_steps", "handoff_overhead_s"}),
        ("closed", False, {"handoff_overhead_s", "handoff_steps", "reserve_bytes"}),
        ("closed", True, {"request_overhead_s", "admission_steps"}),
    ],
)
def test_a_row_shows_only_what_it_pays(load: str, apart: bool, absent: set[str]) -> None:
    found = keys_of("vllm", load, moe=False, apart=apart)
    assert not absent & set(found) and "host_step_s" in found
    assert "floor_scale" in found and "floor_scale_moe" not in found


def test_a_nudge_moves_one_constant() -> None:
    start = stated()
    moved = nudged(start, "vllm.kernel_scale_decode")
    assert {key for key in start if moved[key] != start[key]} == {"vllm.kernel_scale_decode"}
    assert log(moved["vllm.kernel_scale_decode"] / start["vllm.kernel_scale_decode"]) > 0.01


def test_a_fit_takes_whole_and_undoubted_rows_only(table) -> None:
    path = table({}, {}, {"grade": "B"}, {"concurrency": "2048"}, {"tp": ""}, {"model": "nobody"},
        *[{"isl": str(600 + i)} for i in range(60)])  # fmt: skip
    found = fit_rows(read_tables([path])[0].rows)
    assert len(found) == MOST_PER_PAIR
    assert found[0].row_id == "R1" and "R2" not in {row.row_id for row in found}


def test_rows_with_drafted_tokens_are_not_fitted(table) -> None:
    plain = {"model": "DeepSeek-V3", "engine": "TensorRT-LLM", "accelerator": "B200-SXM",
        "weight_dtype": "nvfp4", "tp": "8", "n_accel": "8",
        "length_dist": "uniform 0.8-1.0 x nominal"}  # fmt: skip
    path = table(
        {**plain, "engine_version": "1.2.0rc6.post2"},
        {**plain, "engine_version": "1.2.0rc6.post3", "isl": "513"},
    )
    assert [row.row_id for row in fit_rows(read_tables([path])[0].rows)] == ["R1"]


def test_sensitivities_have_the_sign_and_size_of_times(table) -> None:
    rows = fit_rows(read_tables([table({})])[0].rows)
    found = {item.metric: item for item in observe_all(rows, stated())}
    slopes = found["tpot"].slopes
    # A step more of host time is a step more of every token: 1000 ms per second.
    assert slopes["vllm.host_step_s"] == pytest.approx(1000.0, rel=0.05)
    assert 0 < slopes["vllm.kernel_scale_decode"] < found["tpot"].predicted * 1.1
    assert found["ttft"].slopes["vllm.request_overhead_s"] == pytest.approx(1000.0, rel=0.05)
    assert "all.handoff_overhead_s" not in slopes


def test_cross_fitting_scores_every_row_at_constants_without_its_pair(table) -> None:
    slow = {"ttft_ms_mean": "200", "tpot_ms_mean": "30", "out_tok_s": "", "out_tok_s_per_accel": ""}
    old = {"accelerator": "A100-SXM-80GB", **slow}
    more = {"concurrency": "8"}
    path = table({}, more, old, {**old, **more}, {"model": "nobody"})
    report = validate([path], fit_by="pair")
    found = report.to_dict()["cross_fit"]
    assert set(found["rows_in_fit"].values()) == {2} and len(found["rows_in_fit"]) == 2
    names = {pair.split(" / ")[0]: held for pair, held in found["held_out"].items()}
    # The A100's rows are slow: a fit that holds them out expects faster kernels than one that has
    # them alone.
    scale = "vllm.kernel_scale_decode"
    assert names["a100-sxm4-80"][scale] < names["h100-sxm"][scale]
    assert report.groups()[0]["in_fit"] == 0
    assert [row["status"] for row in report.to_dict()["per_row"]] == ["ok"] * 4 + ["failed"]


def test_holding_out_by_anything_else_is_refused(table) -> None:
    with pytest.raises(ScenarioError, match="by pair"):
        validate([table({})], fit_by="device")
    with pytest.raises(ScenarioError, match="different questions"):
        validate([table({})], fit_by="pair", transferred=True)


def test_sampled_predictions_enclose_the_nominal_one(table) -> None:
    report = validate([table({})], draws=8)
    (outcome,) = report.outcomes
    assert outcome.samples is not None and len(outcome.samples["tpot"]) == 8
    low, high = interval_of(outcome, "tpot", None, 0.8)
    assert low < outcome.pairs["tpot"].predicted < high
    group = report.groups()[0]
    assert group["inside_80"]["tpot"] in (0.0, 1.0)
    assert group["inside_80_parameters"]["tpot"] in (0.0, 1.0)
