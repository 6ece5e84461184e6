"""Laws of step times, over devices, models, layouts and loads."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.costs import (
    Layout,
    Overheads,
    Precision,
    RankLoad,
    StepModel,
    build_step_model,
    expected_experts,
    load_calibration,
)
from hetsim.hardware import Accelerator, get_accelerator
from hetsim.model import get_model

PLAIN = Overheads(
    host_step_s=0.0,
    host_per_sequence_s=0.0,
    kernel_scale_decode=1.0,
    kernel_scale_prefill=1.0,
    floor_scale=1.0,
)
ENGINE = Overheads(
    host_step_s=1e-3,
    host_per_sequence_s=1e-5,
    kernel_scale_decode=1.13,
    kernel_scale_prefill=0.85,
    floor_scale=0.7,
)
REVERSED = replace(ENGINE, kernel_scale_decode=0.84, kernel_scale_prefill=0.94)

CASES = (
    ("h100-sxm", "llama-3.1-8b", Layout(), "bf16", "bf16"),
    ("h100-sxm", "llama-3.1-70b", Layout(tp=4), "fp8_e4m3", "fp8_e4m3"),
    ("b200-sxm", "llama-3.1-70b", Layout(tp=2, pp=2), "nvfp4", "fp8_e4m3"),
    ("a100-sxm4-80", "mixtral-8x7b", Layout(tp=2, ep=2), "bf16", "bf16"),
    ("h200-sxm", "deepseek-v3", Layout(tp=8, ep=8), "fp8_block", "bf16"),
    ("h200-sxm", "deepseek-v3", Layout(dp=8, ep=8), "fp8_block", "bf16"),
    ("h100-sxm", "gpt-oss-120b", Layout(tp=2), "mxfp4", "bf16"),
    ("h100-sxm", "deepseek-v3.2", Layout(tp=8), "fp8_block", "fp8_e4m3"),
    ("b200-sxm", "kimi-linear-48b-a3b", Layout(tp=2, dp=2, ep=4), "bf16", "bf16"),
    ("mi300x", "gemma-3-27b", Layout(tp=2), "bf16", "bf16"),
    ("l40s", "qwen2.5-32b", Layout(tp=2, pp=2), "int4", "bf16"),
    ("cpu-epyc-9654", "llama-3.1-8b", Layout(), "int8", "bf16"),
)


@lru_cache(maxsize=256)
def step_model(case: int, overheads: Overheads = PLAIN, pp: int | None = None) -> StepModel:
    device, name, layout, fmt, kv = CASES[case]
    layout = layout if pp is None else replace(layout, pp=pp)
    return made(get_accelerator(device), name, layout, fmt, kv, overheads)


def made(
    device: Accelerator, name: str, layout: Layout, fmt: str, kv: str, overheads: Overheads = PLAIN
) -> StepModel:
    compute = "bf16" if fmt in ("int4", "mxfp4") else fmt
    precision = Precision(weights=fmt, compute=compute, kv=kv)
    calibration = load_calibration(device)
    return build_step_model(get_model(name), device, layout, precision, calibration, overheads)


cases = st.integers(0, len(CASES) - 1)
overheads = st.sampled_from([PLAIN, ENGINE, REVERSED])
chunk = st.tuples(st.integers(1, 4096), st.integers(0, 20_000))
chunks = st.lists(chunk, max_size=3).map(tuple)
batches = st.integers(0, 600)
contexts = st.integers(1, 50_000)


def sums_of(model: StepModel, batch: int, context: int) -> tuple[float, ...]:
    return tuple(
        float(batch * (context if window is None else min(window, context)))
        for window in model.windows
    )


@given(cases, overheads, chunks, batches, contexts)
def test_operators_add_up_to_the_step(case, engine, prompt, batch, context):
    model = step_model(case, engine)
    sums = sums_of(model, batch, context)
    total = sum(row.time_s for row in model.operators(prompt, batch, sums))
    assert total == pytest.approx(model.step(prompt, batch, sums).time_s, rel=1e-12, abs=0.0)


@given(cases, overheads, st.integers(1, 600), contexts, st.integers(1, 400))
def test_decode_point_gives_every_step(case, engine, batch, context, steps):
    """S(k) - S(k-1), from the point, is the step time from the operators."""
    model = step_model(case, engine)
    point = model.decode(batch)
    sums = sums_of(model, batch, context + steps)
    closed = point.const_s + sum(
        slope * total for slope, total in zip(point.slopes_s, sums, strict=True)
    )
    assert closed == pytest.approx(model.step((), batch, sums).time_s, rel=1e-12)
    apart = sum(row.time_s for row in model.operators((), batch, sums))
    assert closed == pytest.approx(apart, rel=1e-12)


@given(cases, overheads, chunk, chunks, batches, contexts)
def test_more_tokens_are_never_faster(case, engine, extra, prompt, batch, context):
    model = step_model(case, engine, pp=1)
    sums = sums_of(model, batch, context)
    base = model.step(prompt, batch, sums).time_s * (1 - 1e-12)
    if model.dp == 1:
        assert model.step((*prompt, extra), batch, sums).time_s >= base
        longer = tuple((new + 1, past) for new, past in prompt)
        assert model.step(longer, batch, sums).time_s >= base
    deeper = tuple((new, past + 1000) for new, past in prompt)
    assert model.step(deeper, batch, sums).time_s >= base
    more = sums_of(model, batch, context + 1000)
    assert model.step(prompt, batch, more).time_s >= base
    assert model.step(prompt, batch + 1, sums_of(model, batch + 1, context)).time_s >= base


@given(cases, chunks, batches, contexts, st.floats(0.1, 0.99))
def test_a_slower_device_is_never_faster(case, prompt, batch, context, part):
    name, model_name, layout, fmt, kv = CASES[case]
    device = get_accelerator(name)
    slow_memory = replace(device, memory_bytes_per_s=device.memory_bytes_per_s * part)
    peaks = {roof: peak * part for roof, peak in device.peaks_flop_per_s.items()}
    slow_compute = replace(device, peaks_flop_per_s=peaks)
    base = step_model(case)
    sums = sums_of(base, batch, context)
    time_s = base.step(prompt, batch, sums).time_s * (1 - 1e-12)
    for slower in (slow_memory, slow_compute):
        assert made(slower, model_name, layout, fmt, kv).step(prompt, batch, sums).time_s >= time_s


@given(cases, chunks, batches, contexts)
def test_time_is_at_least_the_nominal_roofline(case, prompt, batch, context):
    model = step_model(case)
    cost = model.step(prompt, batch, sums_of(model, batch, context))
    assert cost.time_s >= cost.flops / model.peak_flop_per_s * (1 - 1e-9)
    # An instance reads no faster than its memories; uneven stages count as the fullest.
    assert cost.time_s >= cost.bytes / model.peak_bytes_per_s * (1 - 1e-9)


@given(cases, chunks, batches, contexts)
def test_every_row_is_at_least_its_nominal_roofline(case, prompt, batch, context):
    model = step_model(case)
    device = get_accelerator(CASES[case][0])
    fastest = max(device.peaks_flop_per_s.values())
    stages = model.layout.pp
    for row in model.operators(prompt, batch, sums_of(model, batch, context)):
        assert row.time_s * (1 + 1e-9) >= row.flops / fastest / stages
        assert row.time_s * (1 + 1e-9) >= row.bytes / device.memory_bytes_per_s / stages


@given(batches, contexts)
def test_tensor_parallelism_cuts_the_compute_share(batch, context):
    times = []
    for tp in (1, 2, 4, 8):
        model = made(get_accelerator("h100-sxm"), "llama-3.1-8b", Layout(tp=tp), "bf16", "bf16")
        rows = model.operators(((2048, 0),), batch, sums_of(model, batch, context))
        times.append(sum(row.time_s for row in rows if row.kind == "gemm"))
    assert times == sorted(times, reverse=True)


@given(st.integers(1, 4096), st.integers(1, 16), st.integers(1, 512))
def test_expected_experts_stay_in_bounds(tokens, top_k, experts):
    top_k = min(top_k, experts)
    found = expected_experts(experts, experts, top_k, tokens)
    assert top_k * (1 - 1e-9) <= found <= min(experts, top_k * tokens) * (1 + 1e-9)


@given(st.integers(1, 500), st.integers(1, 50_000))
def test_narrow_kv_reads_half_the_bytes(batch, context):
    device = get_accelerator("h100-sxm")
    wide, narrow = (
        made(device, "llama-3.1-8b", Layout(), "bf16", kv) for kv in ("bf16", "fp8_e4m3")
    )
    assert narrow.decode(batch).bytes_slopes[0] * 2 == wide.decode(batch).bytes_slopes[0]
    assert narrow.decode(batch).slopes_s[0] < wide.decode(batch).slopes_s[0]


@given(st.lists(st.integers(0, 200), min_size=8, max_size=8), contexts)
def test_uneven_ranks_are_never_faster_than_even_ones(loads, context):
    model = step_model(5)
    total = sum(loads)
    base, more = divmod(total, 8)
    even = [base + (1 if rank < more else 0) for rank in range(8)]

    def cost(batches: list[int]) -> float:
        ranks = [RankLoad((), batch, (float(batch * context),)) for batch in batches]
        return model.step_ranks(ranks).time_s

    assert cost(loads) >= cost(even) * (1 - 1e-12)


@given(cases, chunks, batches, contexts)
def test_asking_again_gives_the_same(case, prompt, batch, context):
    model = step_model(case)
    sums = sums_of(model, batch, context)
    assert model.step(prompt, batch, sums) == model.step(prompt, batch, sums)
