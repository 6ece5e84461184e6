"""The prediction is a run of hetsim: bytes, order and conversions as in the real pair."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hetsim.calibrate.loop import SIZES, Ask, Case, Handoff, ModelKey, cases_of, dims_of
from hetsim.calibrate.loop._links import fit_link_lines, probe_cases
from hetsim.calibrate.loop._predict import Predictor, host_of
from hetsim.costs import Calibration, Parameters, load_calibration
from hetsim.hardware import Accelerator, get_accelerator
from hetsim.transfer import LineFit

KEY = ModelKey("30m", "bf16")
LINKS = {"tcp": LineFit(1e-3, 2e9, 0.0), "shared_memory": LineFit(0.0, 8e9, 0.0)}


class Kernels:
    """Stands in for measured kernels: a device of the library, conversions of known speed."""

    profile = None
    accelerator: Accelerator = get_accelerator("cpu-epyc-9755")

    def calibration(self, key: ModelKey) -> Calibration:
        from dataclasses import replace

        found = load_calibration(self.accelerator)
        pass_ = Parameters(t0_s=1e-3, e_c=1.0, e_m=0.1, p=1.0, grade="measured")
        pairs = ("bf16_to_int8", "int8_to_bf16", "bf16_to_fp8_e4m3", "fp8_e4m3_to_bf16")
        first, *rest = found.layers
        own = replace(first, best="measured", operators={
            **first.operators, "convert": {pair: pass_ for pair in pairs}
        })  # fmt: skip
        return replace(found, layers=(own, *rest))


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    twins = {ModelKey("30m", fmt): {1: 0.0, 4: 0.0} for fmt in ("bf16", "fp32")}
    made: Any = Kernels()
    return Predictor(made, twins, LINKS, tmp_path)


def case(handoff: Handoff, *lengths: int, fmt: str = "bf16") -> Case:
    asks = tuple(Ask(1e-3 * i, isl, 8, i) for i, isl in enumerate(lengths))
    return Case("c", ModelKey("30m", fmt), handoff, asks)


@pytest.mark.parametrize(
    ("handoff", "fmt", "width"),
    [
        (Handoff("bf16", "bf16"), "bf16", 2),
        (Handoff("fp32", "fp32"), "fp32", 4),
        (Handoff("int8", "int8"), "bf16", 1),
        (Handoff("int8", "bf16"), "bf16", 2),
        (Handoff("bf16", "int8"), "bf16", 1),
    ],
)
def test_the_bytes_and_the_wire_are_those_of_the_pair(
    predictor: Predictor, handoff: Handoff, fmt: str, width: int
) -> None:
    (row,) = predictor.predict(case(handoff, 300, fmt=fmt))
    size = dims_of(SIZES["30m"]).kv_elements(300) * width
    assert row["bytes"] == size
    assert row["transfer_s"] == pytest.approx(1e-3 + size / 2e9)
    parts = row["prefill_cpu_s"] + row["producer_convert_s"] + row["transfer_s"]
    assert row["ttft_s"] == pytest.approx(parts + row["consumer_convert_s"], rel=1e-6)


def test_the_side_that_converts_pays(predictor: Predictor) -> None:
    wide = dims_of(SIZES["30m"]).kv_elements(300)
    bandwidth = Kernels.accelerator.require("memory_bytes_per_s", "")
    once = 1e-3 + 3.0 * wide / (0.1 * bandwidth)  # reads two bytes an element, writes one
    for handoff, sides in (
        (Handoff("int8", "int8"), (once, 0.0)),
        (Handoff("int8", "bf16"), (0.0, once)),
        (Handoff("bf16", "int8"), (once, once)),
        (Handoff("bf16", "bf16"), (0.0, 0.0)),
    ):
        (row,) = predictor.predict(case(handoff, 300))
        found = row["producer_convert_s"], row["consumer_convert_s"]
        assert found == pytest.approx(sides, rel=1e-6)


def test_prompts_queue_one_by_one_and_decode_together(predictor: Predictor) -> None:
    rows = predictor.predict(case(Handoff("bf16", "bf16"), 200, 200, 200))
    (alone,) = predictor.predict(case(Handoff("bf16", "bf16"), 200))
    waits = [row["ttft_s"] - alone["ttft_s"] for row in rows]
    step = alone["prefill_cpu_s"]
    assert waits == pytest.approx([0.0, step - 1e-3, 2 * (step - 1e-3)], abs=1e-6)
    assert all(row["prefill_cpu_s"] == pytest.approx(step) for row in rows)
    assert alone["tpot_cpu_s"] == pytest.approx((alone["last_token_s"] - alone["ttft_s"]) / 7)


def test_the_shared_segment_is_another_link(predictor: Predictor) -> None:
    (row,) = predictor.predict(case(Handoff("bf16", "bf16", "shared_memory"), 300))
    assert row["transfer_s"] == pytest.approx(row["bytes"] / 8e9)


def test_the_host_is_what_the_twin_takes_beyond_its_kernels(tmp_path: Path) -> None:
    kernels: Any = Kernels()
    bare = host_of({1: 0.0, 4: 0.0}, KEY, kernels, tmp_path)
    assert bare == (0.0, 0.0)  # kernels that seem slower than the whole leave no negative host
    more = host_of({1: 1.0, 4: 1.3}, KEY, kernels, tmp_path)
    assert more.sequence_s == pytest.approx(0.1, rel=0.01)
    assert more.step_s == pytest.approx(0.9, rel=0.01)


def test_every_usual_case_can_be_predicted(predictor: Predictor) -> None:
    for one in cases_of(("30m",), ("bf16", "fp32"), quick=True):
        rows = predictor.predict(one)
        assert len(rows) == len(one.asks)
        assert all(row["tpot_cpu_s"] > 0.0 for row in rows)


def test_links_are_lines_through_medians() -> None:
    def slice_(offset: float) -> list[tuple[str, int, float]]:
        return [("tcp", size, 1e-4 + offset + size / 1e9) for size in (1 << 16, 1 << 20, 1 << 22)]

    made = fit_link_lines([slice_(0.0), slice_(0.0), slice_(0.5)])  # one slice was disturbed
    assert made["tcp"].fixed_s == pytest.approx(1e-4)
    assert made["tcp"].bytes_per_s == pytest.approx(1e9)


def test_links_are_probed_at_lengths_that_no_case_has() -> None:
    cases = cases_of(("30m",), ("bf16", "fp32"), quick=False)
    probes = probe_cases(cases)
    asked = {ask.isl for case in cases for ask in case.asks}
    assert not asked & {probe.asks[0].isl for probe in probes}
    assert {(p.model, p.handoff.through) for p in probes} == {
        (case.model, case.handoff.through) for case in cases
    }
    assert all(probe.handoff.side(probe.model.format) == "none" for probe in probes)
    longest = max(ask.isl + ask.osl for case in cases for ask in case.asks)
    assert all(probe.asks[0].isl <= longest for probe in probes)
