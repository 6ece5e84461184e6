"""Two-batch overlap: lines against the schedule played slot by slot, steps against their parts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.costs import GroupLinks, Layout, Overheads, Precision, RankLoad, build_step_model
from hetsim.costs import load_calibration as calibration_of
from hetsim.costs._overlap import Beats, OverlappedStepModel, halves_of, lines_of
from hetsim.hardware import get_accelerator
from hetsim.model import Mlp, get_model

seconds = st.floats(0.0, 10.0)


def played(body: float, share: float, beats: Beats) -> float:
    """Return the time of all layers by playing the schedule, one slot after the other."""
    layers, experts, dispatch, combine, stolen = beats
    attention = 0.5 * share * body / layers

    def slot(compute: float, exchange: float) -> float:
        # While rows travel, compute goes on with what the exchange leaves of the processors.
        left = compute - (1.0 - stolen) * exchange
        return exchange + max(0.0, left)

    time = attention  # of the first half, alone
    for layer in range(int(layers)):
        time += slot(attention, dispatch) + slot(experts, dispatch) + slot(experts, combine)
        time += slot(attention, combine) if layer < layers - 1 else combine
    return time + (1.0 - share) * body


@given(seconds, st.floats(0.1, 1.0), st.integers(1, 4), seconds, seconds, seconds, st.floats(0, 1))
def test_the_highest_line_is_the_schedule(body, share, layers, experts, dispatch, combine, stolen):
    beats = Beats(float(layers), experts, dispatch, combine, stolen)
    top = max(line.slope * body + line.fixed_s for line in lines_of(beats, share))
    assert top == pytest.approx(played(body, share, beats), rel=1e-9, abs=1e-12)
    # Never better than either stream alone, never worse than one after the other.
    computed, moved = body + 2 * layers * experts, 2 * layers * (dispatch + combine)
    assert max(computed, moved) * (1 - 1e-9) <= top <= (computed + moved) * (1 + 1e-9) + 1e-12


def test_nothing_to_exchange_leaves_compute_as_it_is():
    lines = lines_of(Beats(3.0, 2.0, 0.0, 0.0), 0.75)
    assert max(line.slope * 7.0 + line.fixed_s for line in lines) == 7.0 + 2 * 3 * 2.0


def test_by_hand():
    """One layer, both halves: attention 4 each, experts 1, dispatch 2, combine 3.

    4 | 4 beside 2 | 1 beside 2 | 1 beside 3 | 3 at the end = 4 + 4 + 2 + 3 + 3.
    """
    lines = lines_of(Beats(1.0, 1.0, 2.0, 3.0), 1.0)
    assert max(line.slope * 8.0 + line.fixed_s for line in lines) == 16.0
    # A quarter of the processors taken: attention needs 4 + 0.5 beside the dispatch.
    lines = lines_of(Beats(1.0, 1.0, 2.0, 3.0, 0.25), 1.0)
    assert max(line.slope * 8.0 + line.fixed_s for line in lines) == 16.5
    assert halves_of(7) == (4, 3) and halves_of(1) == (1, 0)


ENGINE = Overheads(
    host_step_s=1e-3,
    host_per_sequence_s=1e-5,
    kernel_scale_decode=1.1,
    kernel_scale_prefill=0.9,
    floor_scale=0.8,
)


def deepseek(
    overlap: bool, ranks: int = 16, nic: float = 50e9, pp: int = 1, engine: Overheads = ENGINE
):
    device = get_accelerator("h100-sxm")
    return build_step_model(
        get_model("deepseek-v3"),
        device,
        Layout(dp=ranks, ep=ranks, pp=pp),
        Precision(weights="fp8_block", compute="fp8_block", kv="fp8_e4m3"),
        calibration_of(device),
        replace(engine, two_batch_overlap=overlap),
        GroupLinks(devices_per_domain=8, network_bytes_per_s=nic, network_latency_s=2e-6),
    )


MODELS = {(on, pp): deepseek(on, pp=pp) for on in (False, True) for pp in (1, 2)}
BACKWARDS = deepseek(True, engine=replace(ENGINE, kernel_scale_decode=0.8))


@given(
    st.sampled_from([MODELS[True, 1], MODELS[True, 2], BACKWARDS]),
    st.lists(st.tuples(st.integers(1, 9000), st.integers(0, 9000)), max_size=40),
    st.integers(0, 5000),
    st.integers(1, 20_000),
)
def test_operators_add_up_to_the_step(model, chunks, batch, context):
    sums = [float(batch * context)]
    step = model.step(chunks, batch, sums)
    rows = model.operators(chunks, batch, sums)
    total = sum(row.time_s for row in rows)
    assert total == pytest.approx(step.time_s, rel=1e-12, abs=0.0)
    hidden = [row for row in rows if row.kind == "overlap"]
    assert all(row.time_s <= 1e-15 for row in hidden) and len(hidden) <= 1


@given(st.integers(1, 40), st.lists(st.integers(0, 60), min_size=16, max_size=16))
def test_a_decode_step_is_the_highest_of_its_lines(context, batches):
    model = MODELS[True, 1]
    if not any(batches):
        return
    loads = [RankLoad((), batch, (float(1000 * context * batch),)) for batch in batches]
    point = model.decode_ranks(tuple(batches))
    lines = [
        rank.const_s + rank.slopes_s[0] * load.context_sums[0]
        for ranks in (point.ranks, *point.floors)
        for rank, load in zip(ranks, loads, strict=True)
    ]
    assert model.step_ranks(loads).time_s == pytest.approx(point.common_s + max(lines), rel=1e-12)
    assert len(point.floors) == (2 if max(batches) > 1 else 0)


@given(st.integers(1, 400), st.integers(1, 40_000))
def test_the_point_of_an_even_batch_bounds_the_step(each, context):
    model, batch = MODELS[True, 1], 16 * each
    point = model.decode(batch)
    bound = point.const_s + point.slopes_s[0] * batch * context
    assert bound <= model.step((), batch, [float(batch * context)]).time_s * (1 + 1e-12)


def decode_s(model, each: int, context: int = 4000) -> float:
    batch = model.dp * each
    return float(model.step((), batch, [float(batch * context)]).time_s)


@pytest.mark.parametrize("ranks", [32, 64])
def test_large_decode_batches_gain_where_weights_are_few(ranks):
    plain, halves = deepseek(False, ranks), deepseek(True, ranks)
    for each in (128, 256, 512):
        assert decode_s(halves, each) < decode_s(plain, each)


@pytest.mark.parametrize("pp", [1, 2])
def test_prompts_gain_and_tiny_batches_lose(pp):
    plain, halves = MODELS[False, pp], MODELS[True, pp]
    for tokens in (4096, 16_384):
        chunks = [(tokens, 0)] * plain.dp
        assert halves.step(chunks, 0, [0.0]).time_s < plain.step(chunks, 0, [0.0]).time_s
    # Two floors of every kernel, and weights read twice, for little to cover.
    assert decode_s(halves, 2 * pp) > decode_s(plain, 2 * pp)
    assert halves.decode(2 * pp * 16).bytes_const > plain.decode(2 * pp * 16).bytes_const
    # One sequence a rank cannot be cut.
    assert decode_s(halves, 1) == pytest.approx(decode_s(plain, 1), rel=1e-12)


def test_more_bandwidth_is_never_slower():
    found = [deepseek(True, nic=nic) for nic in (12.5e9, 25e9, 50e9, 100e9, 400e9)]
    for each in (1, 8, 128):
        times = [decode_s(model, each) for model in found]
        assert times == sorted(times, reverse=True)
    times = [model.step([(8000, 0)] * 16, 0, [0.0]).time_s for model in found]
    assert times == sorted(times, reverse=True) and times[0] > 1.05 * times[-1]
    # Half the rate of the links is as half a line, fixed times apart.
    slowed = found[2].on_network(0.5)
    assert isinstance(slowed, OverlappedStepModel)
    assert slowed.step([(8000, 0)] * 16, 0, [0.0]).time_s == pytest.approx(times[1], rel=1e-12)


def test_without_an_exchange_there_is_nothing_to_overlap(kit):
    engine = Overheads(two_batch_overlap=True)
    experts = Mlp(kind="moe", inter=32, experts=16, top_k=2)
    for layout, mlp in ((Layout(tp=2, ep=2), experts), (Layout(dp=2), None)):
        model = kit.build(kit.tiny(mlp=mlp), layout=layout, overheads=engine)
        assert not model.overlapped
    assert kit.build(kit.tiny(mlp=experts), layout=Layout(dp=2, ep=2), overheads=engine).overlapped
