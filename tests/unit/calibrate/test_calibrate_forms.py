"""The reference equations: limits, reductions and scaling that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hetsim.calibrate import _forms as forms

PEAK, BANDWIDTH = 1e15, 1e12
ROOF = {"t0_us": 2.0, "e_c": 0.5, "e_m": 0.8, "p": 8.0}


def test_p_norm_lies_between_the_largest_part_and_the_sum() -> None:
    parts = (3.0, 4.0, 1.0)
    for p in (1.0, 1.7, 8.0):
        value = float(forms.p_norm(p, *parts))
        assert max(parts) <= value <= sum(parts) + 1e-12
    assert float(forms.p_norm(1.0, *parts)) == pytest.approx(sum(parts))


def test_p_norm_of_nothing_is_nothing() -> None:
    assert float(forms.p_norm(3.0, 0.0, 0.0)) == pytest.approx(0.0, abs=1e-20)


def test_gemm_is_bound_by_memory_when_skinny_and_by_compute_when_square() -> None:
    skinny = forms.gemm_s(ROOF, 1.0, 8192.0, 8192.0, 134e6, PEAK, BANDWIDTH)
    assert float(skinny) == pytest.approx(2e-6 + 134e6 / 0.8e12, rel=1e-6)
    square = forms.gemm_s(ROOF, 8192.0, 8192.0, 8192.0, 402e6, PEAK, BANDWIDTH)
    assert float(square) == pytest.approx(2e-6 + 2 * 8192.0**3 / 0.5e15, rel=0.01)


def test_gemm_further_terms_only_add_time_and_vanish_at_zero() -> None:
    shape = (64.0, 1024.0, 4096.0, 9e6, PEAK, BANDWIDTH)
    zero = ROOF | {"m0": 0.0, "n0": 0.0, "k0": 0.0, "walk_ps": 0.0}
    assert float(forms.gemm_s(zero, *shape)) == float(forms.gemm_s(ROOF, *shape))
    for name in ("m0", "n0", "k0", "walk_ps"):
        assert float(forms.gemm_s(zero | {name: 5000.0}, *shape)) > float(
            forms.gemm_s(ROOF, *shape)
        )


def test_a_walk_bounds_a_gemm_that_has_next_to_no_work() -> None:
    walked = forms.gemm_s(ROOF | {"walk_ps": 1000.0}, 1.0, 1.0, 51200.0, 1e5, PEAK, BANDWIDTH)
    assert float(walked) == pytest.approx(2e-6 + 51200e-9, rel=1e-3)


def test_grouped_gemm_without_tiles_counts_six_flops_per_row_and_weight() -> None:
    time_s = forms.grouped_gemm_s(ROOF, 64.0, 4096.0, 1536.0, 512.0, 128.0, 0.0, PEAK, BANDWIDTH)
    assert float(time_s) == pytest.approx(2e-6 + 6 * 512 * 4096 * 1536 / 0.5e15, rel=1e-9)


def test_grouped_gemm_pads_the_rows_of_every_expert_that_works() -> None:
    shape = (64.0, 4096.0, 1536.0, 512.0)
    padded = ROOF | {"m0": 4.0}
    few = forms.grouped_gemm_s(padded, *shape, 1.0, 0.0, PEAK, BANDWIDTH)
    many = forms.grouped_gemm_s(padded, *shape, 128.0, 0.0, PEAK, BANDWIDTH)
    assert float(many - 2e-6) == pytest.approx(
        float(few - 2e-6) * (512 + 512) / (512 + 4), rel=1e-9
    )


def test_prompt_attention_loses_half_its_speed_at_s0_tokens() -> None:
    plain = ROOF | {"s0_tokens": 0.0}
    half = ROOF | {"s0_tokens": 1000.0}
    shape = (999.0, 0.0, 32.0, 256.0, 0.0, PEAK, BANDWIDTH)
    fast, slow = (float(forms.attention_prefill_s(p, *shape)) - 2e-6 for p in (plain, half))
    assert slow / fast == pytest.approx(2.0, rel=1e-6)
    assert fast == pytest.approx(2 * 32 * 256 * 999 * 500 / 0.5e15, rel=1e-6)


def test_prompts_in_one_batch_add_up_and_a_past_adds_what_it_holds() -> None:
    def body(new: float, past: float, batch: float) -> float:
        shape = (new, past, 8.0, 256.0, 0.0, PEAK, BANDWIDTH)
        return float(forms.attention_prefill_s(ROOF, *shape, batch)) - 2e-6

    assert body(512.0, 0.0, 4.0) == pytest.approx(4 * body(512.0, 0.0, 1.0))
    whole = body(1024.0, 0.0, 1.0)
    assert body(512.0, 0.0, 1.0) + body(512.0, 512.0, 1.0) == pytest.approx(whole, rel=1e-9)


def test_decode_attention_is_affine_in_the_context() -> None:
    more = ROOF | {"per_kv_head_ns": 5.0, "per_head_ns": 1.0}

    def seconds(context: float) -> float:
        return float(
            forms.attention_decode_s(more, 8.0, context, 32, 8, 16384, 4096, PEAK, BANDWIDTH)
        )

    assert seconds(3000.0) - seconds(2000.0) == pytest.approx(seconds(2000.0) - seconds(1000.0))
    assert seconds(0.0) == pytest.approx(2e-6 + 8 * (8 * 5e-9 + 32 * 1e-9))


def test_head_factor_is_one_at_128_and_flat_outside_the_measured_sizes() -> None:
    sizes = np.array([32.0, 64.0, 128.0, 256.0, 512.0])
    factor = forms.head_factor({"head_64": 1.5, "head_256": 0.8}, sizes)
    assert factor.tolist() == [1.5, 1.5, 1.0, 0.8, 0.8]


def test_the_fastest_piece_of_a_collective_counts() -> None:
    pieces = [(3.0, 50e9), (8.0, 200e9)]
    times = forms.collective_s(pieces, np.array([0.0, 1e9]))
    assert times.tolist() == pytest.approx([3e-6, 8e-6 + 1 / 200])


def test_lone_heads_read_slower_and_groups_do_not() -> None:
    def slope(heads: float, **more: float) -> float:
        at = (8.0, 1000.0, heads, 8, 16.0, 4096.0, PEAK, BANDWIDTH)
        return float(forms.attention_decode_s(ROOF | more, *at)) - 2e-6

    # Memory rules: the factor is on the bytes.
    assert slope(8, lone_head=1.5) == pytest.approx(1.5 * slope(8), rel=1e-3)
    assert slope(32, lone_head=1.5) == pytest.approx(slope(32))
