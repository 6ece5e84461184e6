"""Attention on a tiny model as its reference equations say, with the terms that shapes bring."""

from __future__ import annotations

import pytest

from hetsim.calibrate import _forms
from hetsim.costs import Layout
from hetsim.model import Attention

PEAK, BANDWIDTH = 1e14, 1e12
GQA = {"kind": "gqa", "heads": 8, "kv_heads": 2, "head_dim": 128}
MLA = {
    "kind": "mla",
    "heads": 16,
    "kv_lora_rank": 512,
    "q_lora_rank": 64,
    "nope_dim": 128,
    "rope_dim": 64,
    "v_head_dim": 128,
}
WALK = {"walk_s": 80e-9, "walk_p": 2.5}
IDEAL = {"t0_us": 0.0, "e_c": 1.0, "e_m": 1.0, "p": 8.0}


def _walked(kit, attention: dict, layout: Layout | None = None, **more: float):
    model = kit.tiny(Attention(**attention), count=1)
    return kit.build(model, layout=layout or Layout(), calibration=kit.ideal(**more))


@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize("tp", [1, 2])
def test_slopes_are_those_of_the_reference(kit, batch: int, tp: int) -> None:
    point = _walked(kit, GQA, Layout(tp=tp), **WALK).decode(batch)
    said = IDEAL | {"walk_ps": 80e3, "walk_p": 2.5}
    heads, kv_heads = 8 / tp, 2 / tp
    flops, moved = 4.0 * heads * 128, 2.0 * kv_heads * 128 * 2.0
    slope = _forms.attention_decode_s(
        said, batch, 1.0, heads, kv_heads, flops, moved, PEAK, BANDWIDTH
    )
    assert point.slopes_s[0] == pytest.approx(float(slope), rel=1e-9)


def test_a_tile_of_query_heads_is_computed_whole(kit) -> None:
    few, many = (
        _walked(kit, MLA | {"heads": heads}, head_tile=64.0).decode(8).slopes_s[0]
        for heads in (16, 64)
    )
    assert few == pytest.approx(many, rel=1e-9)
    compute, memory = 2 * 64 * (512 + 512 + 64) / PEAK, (512 + 64) * 2 / BANDWIDTH
    assert few == pytest.approx((compute**8 + memory**8) ** 0.125, rel=1e-9)


def test_a_walk_costs_the_mean_context_whatever_the_batch(kit) -> None:
    model = _walked(kit, GQA, walk_s=1e-3, walk_p=8.0)
    for batch in (1, 7, 32):
        (slope,) = model.decode(batch).slopes_s
        assert slope * batch * 100.0 == pytest.approx(0.1, rel=0.01)


@pytest.mark.parametrize("layout", [Layout(), Layout(pp=2), Layout(dp=2), Layout(tp=2)])
def test_operators_and_mixed_steps_walk_as_the_point_does(kit, layout: Layout) -> None:
    model = kit.tiny(Attention(**GQA), count=2)
    built = kit.build(model, layout=layout, calibration=kit.ideal(**WALK))
    for chunks in ((), ((64, 0),)):
        cost = built.step(chunks, 6, (6000.0,))
        rows = built.operators(chunks, 6, (6000.0,))
        assert sum(row.time_s for row in rows) == pytest.approx(cost.time_s, rel=1e-12)


def test_step_is_affine_in_context_and_rises_with_batch_at_one_length(kit) -> None:
    model = _walked(kit, GQA, **WALK)
    one, two, three = (model.step((), 4, (total,)).time_s for total in (1e3, 2e3, 3e3))
    assert three - two == pytest.approx(two - one, rel=1e-9)
    rising = [model.step((), batch, (batch * 2000.0,)).time_s for batch in (1, 2, 8, 64)]
    assert rising == sorted(rising)


def test_without_a_walk_slopes_are_one_for_all_batches(kit) -> None:
    sums = _walked(kit, GQA).sums
    assert sums.slopes_at(1) is sums.slopes_at(64) is sums.slopes


@pytest.mark.parametrize("past", [0, 5000])
@pytest.mark.parametrize("tp", [1, 2])
def test_prompts_are_those_of_the_reference(kit, past: int, tp: int) -> None:
    more = {"kv0": 90.0, "q0": 5000.0, "fill_p": 2.0, "s0_tokens": 300.0}
    built = _walked(kit, GQA, Layout(tp=tp), **more)
    (op,) = built.sums.attention
    heads, kv_heads = 8 / tp, 2 / tp
    moved = (heads * 256 * 700 + kv_heads * 256 * (700 + past)) * 2.0
    said = IDEAL | more
    wanted = _forms.attention_prefill_s(
        said, 700.0, float(past), heads, 256.0, moved, PEAK, BANDWIDTH, 1.0, kv_heads
    )
    assert op.prompts(((700, past),))[0] == pytest.approx(float(wanted), rel=1e-9)
