"""What a relative lends: fractions of nominal, less surely; links only of the same kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetsim.costs import Calibration, Parameters, load_calibration, measured_pieces
from hetsim.costs._calibration import Layer
from hetsim.errors import ScenarioError
from hetsim.hardware import get_accelerator


def test_without_its_own_a_device_is_what_its_relatives_say() -> None:
    device = get_accelerator("h100-sxm")
    own, lent = load_calibration(device), load_calibration(device, own=False)
    assert own.operator("gemm", "bf16").grade == "fitted"
    found = lent.operator("gemm", "bf16")
    assert found.grade == "transferred" and "h200" in found.source
    assert found.rse > load_calibration(get_accelerator("h200-sxm")).operator("gemm", "bf16").rse
    assert all(layer.name != "h100-sxm" for layer in lent.layers)


def test_the_same_silicon_lends_before_the_family() -> None:
    found = load_calibration(get_accelerator("rtx5090")).operator("gemm", "bf16")
    assert "rtxpro6000-server" in found.source


def test_lent_collectives_run_on_this_devices_links() -> None:
    slow, fast = get_accelerator("h800-sxm"), get_accelerator("h100-sxm")
    here = measured_pieces(slow, load_calibration(slow), "all_reduce", 8)
    there = measured_pieces(fast, load_calibration(fast), "all_reduce", 8)
    ratio = fast.scale_up.aggregate_bytes_per_s / slow.scale_up.aggregate_bytes_per_s
    assert ratio > 2
    for mine, theirs in zip(here, there, strict=True):
        assert mine.s_per_byte == pytest.approx(ratio * theirs.s_per_byte)
        assert mine.t0_s == theirs.t0_s


def test_nvlink_says_nothing_about_pcie() -> None:
    card = get_accelerator("a10")
    calibration = load_calibration(card)
    assert calibration.lender("all_reduce", 2) == "a100-sxm4-80"
    (piece,) = measured_pieces(card, calibration, "all_reduce", 2)
    assert "nominal" in piece.source
    # Slower than the line itself, which NVLink's table would beat tenfold.
    assert piece.s_per_byte > 1.0 / card.host_bytes_per_s


def test_a_device_that_never_was_measured_keeps_its_own_exchange() -> None:
    server = get_accelerator("rtxpro6000-server")
    assert measured_pieces(server, load_calibration(server), "moe_dispatch", 8) == ()


def _calibration(parameters: Parameters) -> Calibration:
    layer = Layer(name="x", best="measured", operators={"gemm": {"bf16": parameters}},
        collectives={})  # fmt: skip
    return Calibration(accelerator="x", layers=(layer,), collective_scale={})


BASE = Parameters(t0_s=1e-5, e_c=0.5, e_m=0.5, p=2.0, rse=0.0)


def _draws(parameters: Parameters) -> np.ndarray:
    made = _calibration(parameters)
    found = [made.sample(np.random.default_rng(i)).operator("gemm", "bf16") for i in range(400)]
    return np.log([[x.t0_s / BASE.t0_s, BASE.e_c / x.e_c, BASE.e_m / x.e_m] for x in found])


def test_samples_follow_the_covariance_of_the_fit() -> None:
    covariance = ((0.01, -0.008, 0.0), (-0.008, 0.01, 0.0), (0.0, 0.0, 0.0001))
    found = np.cov(_draws(replace(BASE, covariance=covariance)).T)
    assert found == pytest.approx(np.array(covariance), abs=0.0015)


def test_what_unmeasured_shapes_are_off_moves_all_times_together() -> None:
    zero = ((0.0,) * 3,) * 3
    draws = _draws(replace(BASE, rse=0.1, covariance=zero))
    assert draws[:, 0] == pytest.approx(draws[:, 1]) and draws[:, 1] == pytest.approx(draws[:, 2])
    assert np.std(draws[:, 0]) == pytest.approx(0.1, rel=0.15)


def test_without_a_fit_each_parameter_is_drawn_alone() -> None:
    draws = _draws(replace(BASE, rse=0.1))
    assert not np.allclose(draws[:, 0], draws[:, 1])


@pytest.mark.parametrize("errors", ["{t0_us: -0.1}", "{t0_us/e_c: 1.5}"])
def test_impossible_errors_are_refused(tmp_path, errors: str) -> None:
    from hetsim.costs import read_calibration_file

    path = tmp_path / "c.yaml"
    entry = f"{{t0_us: 1, e_c: 0.5, e_m: 0.5, p: 2, grade: fitted, rse: 0.1, errors: {errors}}}"
    path.write_text(
        "schema: 1\naccelerator: x\ndate: '2026-11-24'\nsource: s\n"
        f"operators: {{gemm: {{bf16: {entry}}}}}\ncollectives: {{}}\nhost: {{}}\n"
    )
    with pytest.raises(ScenarioError, match="errors"):
        read_calibration_file(path)
