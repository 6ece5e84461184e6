"""A transfer engine in a user's own file, and conversions that were measured on a device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hetsim.costs import (
    Calibration,
    Layout,
    Overheads,
    Parameters,
    Precision,
    build_step_model,
    load_calibration,
)
from hetsim.errors import ScenarioError
from hetsim.hardware import get_accelerator
from hetsim.model import get_model
from hetsim.run import run_loaded
from hetsim.scenario import load_scenario
from hetsim.transfer import get_transfer_engine

TEXT = """title: "a cable"
control_s: 0.002
post_s: 0.0
descriptors_per_s: null
ceiling_ratio: 1.0
connect_s: 0.0
grade: measured
rse: 0.1
sources: {default: "measured"}
"""


def test_an_engine_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "cable.yaml"
    path.write_text(TEXT)
    assert get_transfer_engine(str(path)).control_s == 0.002
    slow = load_scenario("cpu_pair", sets=[f"boundary.transfer_engine={path}"])
    assert slow.scenario.boundary is not None
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(TEXT.replace("ceiling_ratio: 1.0", "ceilling_ratio: 1.0"))
    with pytest.raises(ScenarioError, match="ceiling_ratio"):
        load_scenario("cpu_pair", sets=[f"boundary.transfer_engine={wrong}"])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.yaml"):
        get_transfer_engine(str(tmp_path / "none.yaml"))


def _measured(name: str) -> Calibration:
    found = load_calibration(get_accelerator(name))
    slow = Parameters(t0_s=0.5, e_c=1.0, e_m=0.5, p=1.0, grade="measured")
    first, *rest = found.layers
    own = replace(
        first, best="measured", operators={**first.operators, "convert": {"bf16_to_int8": slow}}
    )
    return replace(found, layers=(own, *rest))


def test_a_conversion_measured_on_the_device_counts_on_the_side_that_converts() -> None:
    sets = ["pools.decode.precision.kv=int8", "boundary.convert_at=producer", "workload.requests=1"]
    loaded = load_scenario("cpu_pair", sets=sets)
    plain = run_loaded(loaded)
    producer = run_loaded(loaded, calibrations={"cpu-spr-8480": _measured("cpu-spr-8480")})
    consumer = run_loaded(loaded, calibrations={"cpu-epyc-9755": _measured("cpu-epyc-9755")})

    def convert_s(result: object) -> float:
        return float(result.requests["convert_s"].iloc[0])  # type: ignore[attr-defined]

    assert convert_s(producer) > 0.5 > convert_s(plain)
    assert convert_s(consumer) == convert_s(plain)  # nothing is converted there


def test_a_model_in_fp32_attends_in_fp32() -> None:
    def prefill_s(fmt: str) -> float:
        device = get_accelerator("cpu-epyc-9755")
        steps = build_step_model(
            get_model("tiny-llama"),
            device,
            Layout(),
            Precision(weights=fmt, compute=fmt, kv=fmt),
            load_calibration(device),
            Overheads(),
        )
        rows = steps.operators(((2048, 0),), 0, [0.0] * len(steps.windows))
        assert {row.format for row in rows if row.kind.startswith("attention")} == {fmt}
        return float(sum(row.time_s for row in rows if row.kind.startswith("attention")))

    assert prefill_s("fp32") > 1.5 * prefill_s("bf16")
