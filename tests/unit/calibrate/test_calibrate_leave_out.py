"""Devices left out: made-up tables whose answer is known."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from hetsim.calibrate import LeftOut, leave_out, leave_out_page
from hetsim.calibrate._forms import gemm_s
from hetsim.calibrate._leave_out import transferred_errors
from hetsim.calibrate._nominal import nominal_of
from hetsim.calibrate._table import make_table
from hetsim.costs import load_calibration, measured_pieces
from hetsim.hardware import get_accelerator

SHAPES = list(itertools.product((16, 256, 4096), (2048, 4096, 8192), (4096, 8192, 16384)))


def _gemms(scale: float):
    """Return a table of bf16 products as the H100's own fit would time them, times ``scale``."""
    found = load_calibration(get_accelerator("h100-sxm")).operator("gemm", "bf16")
    nominal = nominal_of("h100-sxm")
    cells = {name: getattr(found, name) for name in ("e_c", "e_m", "p", "m0", "n0", "k0")}
    cells |= {"t0_us": found.t0_s * 1e6, "walk_ps": found.walk_s * 1e12}
    m, n, k = (np.array(column, float) for column in zip(*SHAPES, strict=True))
    moved = 2.0 * (m * k + n * k + m * n)
    args = (cells, m, n, k, moved, nominal.peak("bf16"), nominal.bandwidth_bytes_per_s)
    common = {"format": "bf16", "source": "made up", "framework": "none"}
    return make_table("gemm", {**common, "time_s": scale * gemm_s(*args), "m": m, "n": n, "k": k})


def test_a_devices_own_fit_is_right_and_a_relative_nearly() -> None:
    (found,) = leave_out("h100-sxm", [_gemms(1.0)])
    assert (found.kind, found.format, found.points) == ("gemm", "bf16", len(SHAPES))
    assert found.own_median < 0.02
    assert found.lender == "h200-sxm" and found.grade == "transferred"
    assert found.own_median < found.median < 0.3


def test_bias_has_the_sign_of_the_prediction() -> None:
    slow, fast = (leave_out("h100-sxm", [_gemms(scale)])[0].bias for scale in (2.0, 1.02))
    assert slow < -0.4 < fast


def test_collectives_of_a_relative_run_on_this_devices_links() -> None:
    device = get_accelerator("h100-sxm")
    pieces = measured_pieces(device, load_calibration(device), "all_reduce", 8)
    size = np.geomspace(1e4, 1e8, 20)
    time_s = np.min([piece.t0_s + size * piece.s_per_byte for piece in pieces], axis=0)
    common = {"format": "bf16", "source": "made up", "framework": "none"}
    table = make_table(
        "all_reduce", {**common, "time_s": time_s, "ranks": 8, "message_bytes": size}
    )
    (found,) = leave_out("h100-sxm", [table])
    assert found.own_median < 1e-6 and found.lender == "h200-sxm" and found.median < 0.3


ITEM = LeftOut(
    accelerator="a", kind="gemm", format="bf16", points=9, lender="b", grade="transferred",
    own_median=0.05, median=0.1, p90=0.3, bias=-0.1,
)  # fmt: skip


def test_one_error_per_kind_counts_devices_alike() -> None:
    found = [ITEM, replace(ITEM, format="fp16"), replace(ITEM, accelerator="c", median=0.3)]
    found += [replace(ITEM, accelerator="d", median=9.0, grade="datasheet")]
    found += [replace(ITEM, kind="all_reduce", format="8", median=0.05)]
    errors = transferred_errors(found)
    # Devices at 0.1 and 0.3, of which the upper quartile is taken.
    assert errors == {"collectives": 0.07, "gemm": pytest.approx(0.25 / 0.6745, abs=0.01)}


def test_the_page_says_what_came_from_where() -> None:
    text = leave_out_page([ITEM, replace(ITEM, grade="datasheet", lender="family default")])
    assert "| a | gemm | bf16 | 9 | b | 5 | 10 / 30 | -10 |" in text
    assert "family default (datasheet)" in text and "gemm 0.15" in text


def test_the_page_says_in_words_what_its_numbers_say() -> None:
    found = [
        ITEM,
        replace(ITEM, kind="attention_decode", own_median=0.07, median=0.12),
        replace(ITEM, accelerator="far", median=0.4),
        replace(ITEM, accelerator="lone", grade="datasheet", median=0.6),
        replace(ITEM, kind="all_reduce", format="8", own_median=0.02, median=0.2),
    ]
    text = leave_out_page(found, "hetsim calibrate leave-out")
    assert "Made by `hetsim calibrate leave-out`." in text
    # 5 and 7 % of its own fits, 10 and 12 % of the relative's.
    assert "A twin loses little: a 6 to 11 %." in text
    assert "Another chip of the family loses more: far 5 to 40 %." in text
    assert "efficiencies of the family: lone 5 to 60 %." in text
    assert "Collectives, over all devices: 2 to 20 %." in text
    assert "What it says" not in leave_out_page([])
