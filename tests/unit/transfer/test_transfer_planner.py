"""Plans of a hand-off: every term by itself, the measured curve, and the price of asking."""

from __future__ import annotations

from dataclasses import replace
from time import perf_counter
from typing import Any

import pytest

from hetsim.errors import InfeasibleError, ScenarioError
from hetsim.representation import BoundaryPolicy, CostDrivers, Representation, verdict
from hetsim.transfer import (
    Converter,
    Endpoint,
    Planner,
    Registration,
    Staging,
    TransferEngine,
    build_planner,
    convert_s,
    get_converter,
    get_registration,
    get_transfer_engine,
    handshake_s,
    plan_transfer,
    registration_s,
    transfer_engine_names,
)


def rep(**more: Any) -> Representation:
    fields: dict[str, Any] = {
        "semantics_id": "m",
        "group_kind": "mha_gqa",
        "group_layers": tuple(range(10)),
        "model_layers": 10,
        "kv_heads_total": 8,
        "dim_k": 125,
        "dim_v": 125,
        "page_tokens": 10,
        "order": "LBHN",
        "kv_pack": "merged_row",
        "enc": "bf16",
        "tp": 4,
        **more,
    }
    return Representation(**fields)


def drivers(p: Representation, c: Representation, **policy: Any) -> CostDrivers:
    made = verdict(p, c, BoundaryPolicy(**policy)).drivers
    assert made is not None
    return made


def engine(**more: Any) -> TransferEngine:
    fields: dict[str, Any] = {
        "title": "test",
        "control_s": 0.001,
        "post_s": 1e-6,
        "descriptors_per_s": None,
        "ceiling_ratio": 0.5,
        "connect_s": 0.1,
        "grade": "measured",
        "rse": 0.0,
        "sources": {},
        **more,
    }
    return TransferEngine(**fields)


END = Endpoint(
    ranks=4, memory_bytes_per_s=2e12, nics=4, nic_bytes_per_s=50e9, striped=False,
    host_bytes_per_s=25e9,
)  # fmt: skip
KERNEL = Converter(efficiency=0.5, launch_s=1e-6, grade="measured", rse=0.0, sources={})


def planner(groups: list[CostDrivers], **more: Any) -> Planner:
    fields: dict[str, Any] = {
        "engine": engine(),
        "producer": END,
        "consumer": END,
        "producer_converter": KERNEL,
        "consumer_converter": KERNEL,
        **more,
    }
    return build_planner(groups, **fields)


# One token: 10 layers x 8 heads x 250 dims x 2 B = 40 kB; a page of a layer and rank is 10 kB.
SAME = drivers(rep(), rep())


def test_every_term_of_a_plain_hand_off() -> None:
    plan = planner([SAME]).plan(1000)
    assert plan.bytes == 40e6
    assert plan.descriptors == 4000
    # A quarter of the descriptors on each of the four posting ranks.
    assert plan.post_s == pytest.approx(1000 * 1e-6)
    assert plan.fixed_s == 0.001
    # Four NICs of 50 GB/s at half of their line.
    assert plan.rate_bytes_per_s == 100e9
    assert plan.wire_s == pytest.approx(0.0004)
    assert plan.total_s == pytest.approx(0.001 + 0.001 + 0.0004)
    assert (plan.staged, plan.pieces) == (False, 1)
    assert plan_transfer(planner([SAME]), 1000) == plan


def test_tail_pages_cross_whole() -> None:
    assert planner([SAME]).plan(1).bytes == planner([SAME]).plan(10).bytes == 400e3


def test_descriptors_limit_the_rate_where_pieces_are_small() -> None:
    slow = engine(descriptors_per_s=1e6, post_s=0.0)
    plan = planner([SAME], engine=slow).plan(1000)
    # 1000 descriptors on each NIC at a million a second: 1 ms for 40 MB.
    assert plan.wire_s == pytest.approx(0.001)
    fast = planner([SAME], engine=engine(descriptors_per_s=1e9)).plan(1000)
    assert fast.rate_bytes_per_s == 100e9


def test_merged_blocks_cost_fewer_posts() -> None:
    plan = planner([SAME], mean_block_run=5.0).plan(1000)
    assert plan.descriptors == 800
    assert plan.bytes == 40e6


def test_one_sender_uses_one_nic_unless_striped() -> None:
    mla = {"group_kind": "mla", "kv_heads_total": 1, "kv_pack": "latent"}
    one = drivers(rep(**mla), rep(**mla, tp=1))
    assert planner([one], consumer=replace(END, ranks=1)).plan(1000).rate_bytes_per_s == 25e9
    striped = replace(END, striped=True)
    plan = planner([one], producer=striped, consumer=replace(striped, ranks=1)).plan(1000)
    assert plan.rate_bytes_per_s == 100e9


def test_the_narrower_end_sets_the_line() -> None:
    narrow = replace(END, nics=1)
    assert planner([SAME], consumer=narrow).plan(1000).rate_bytes_per_s == 25e9


def test_ranks_that_share_a_nic_share_its_rate() -> None:
    assert replace(END, nics=2).line_bytes_per_s(0.25) == 100e9
    assert replace(END, nics=8).line_bytes_per_s(1.0) == 100e9


def test_conversion_reads_wide_and_writes_narrow_on_the_busiest_rank() -> None:
    static = {"scale_gran": "tensor_static", "scale_loc": "checkpoint"}
    made = drivers(rep(), rep(enc="e4m3fn", **static))
    plan = planner([made]).plan(1000)
    assert plan.bytes == 20e6
    # A rank holds a quarter: reads 10 MB, writes 5 MB, at half of 2 TB/s.
    assert plan.producer_convert_s == pytest.approx(1e-6 + 15e6 / 1e12)
    assert plan.consumer_convert_s == 0.0


def test_relayout_reads_and_writes_on_the_consumer() -> None:
    plan = planner([drivers(rep(), rep(order="LBNH"))]).plan(1000)
    assert plan.consumer_convert_s == pytest.approx(1e-6 + 20e6 / 1e12)
    assert plan.producer_convert_s == 0.0


def test_a_processor_at_a_few_percent_costs_more_than_the_wire() -> None:
    static = {"scale_gran": "tensor_static", "scale_loc": "checkpoint"}
    made = drivers(rep(), rep(enc="e4m3fn", **static))
    host = replace(END, memory_bytes_per_s=24.6e9)
    plan = planner([made], producer=host, producer_converter=get_converter("host_scalar")).plan(
        1000
    )
    assert plan.producer_convert_s > 10 * plan.wire_s


def test_convert_seconds_by_hand_and_its_refusals() -> None:
    assert convert_s(2e9, 1e9, 3e12, 0.5) == pytest.approx(0.002)
    for bad in ((1.0, 1.0, 0.0, 0.5), (1.0, 1.0, 1e12, 0.0), (1.0, 1.0, 1e12, 1.5)):
        with pytest.raises(ScenarioError):
            convert_s(*bad)


def test_synchronous_staging_adds_one_copy_per_side_out_of_reach() -> None:
    made = drivers(rep(mem="vram_no_rdma"), rep(mem="vram_no_rdma"))
    staging = Staging(pipelined=False, piece_bytes=8e6)
    plan = planner([made], staging=staging).plan(1000)
    # 10 MB per device at 25 GB/s, on either side; the wire is as fast as before.
    assert plan.producer_stage_s == plan.consumer_stage_s == pytest.approx(0.0004)
    assert plan.rate_bytes_per_s == 100e9
    assert plan.staged
    assert plan.total_s == pytest.approx(planner([SAME]).plan(1000).total_s + 0.0008)


def test_pipelined_staging_is_the_slowest_stage_and_the_first_piece() -> None:
    made = drivers(rep(mem="vram_no_rdma"), rep())
    slow = replace(END, host_bytes_per_s=10e9)
    staging = Staging(pipelined=True, piece_bytes=4e6)
    plan = planner([made], producer=slow, staging=staging).plan(1000)
    # Four devices copy at 10 GB/s each: 40 GB/s, below the wire's 100.
    assert plan.rate_bytes_per_s == pytest.approx(40e9)
    assert plan.fixed_s == pytest.approx(0.001 + 4e6 / 40e9)
    assert plan.producer_stage_s == 0.0


def test_a_device_out_of_reach_without_staging_is_refused() -> None:
    made = drivers(rep(mem="vram_no_rdma"), rep())
    with pytest.raises(InfeasibleError, match="producer's device memory"):
        planner([made])


def test_pieces_of_each_granularity() -> None:
    assert planner([SAME], granularity="layer", layers=10).plan(1000).pieces == 10
    assert planner([SAME], granularity="chunk", chunk_tokens=300).plan(1000).pieces == 4
    assert planner([SAME], layers=10).plan(1000).pieces == 1


def test_groups_add_up_and_windows_cap() -> None:
    near = drivers(rep(group_layers=(0, 1), window=100), rep(group_layers=(0, 1), window=100))
    plan = planner([SAME, near]).plan(1000)
    assert plan.bytes == 40e6 + 100 * 8e3


def test_first_contact_and_registration() -> None:
    assert handshake_s(SAME, engine(), 1e-3) == pytest.approx(0.1 + 4 * 1e-3)
    cost = Registration(region_s=0.01, host_s_per_byte=1e-10, sources={})
    assert registration_s(40, 4e9, 4, cost) == pytest.approx(0.1 + 0.1)


def test_bad_ends_are_refused_with_every_problem() -> None:
    with pytest.raises(ScenarioError) as caught:
        Endpoint(ranks=0, memory_bytes_per_s=1.0, nics=0, nic_bytes_per_s=1.0, striped=False)
    assert len(caught.value.problems) == 2


def test_a_plan_costs_less_than_three_microseconds() -> None:
    made = planner([SAME])
    best = float("inf")
    for _ in range(5):
        start = perf_counter()
        for tokens in range(2000):
            made.plan(tokens)
        best = min(best, (perf_counter() - start) / 2000)
    assert best < 3e-6


def test_every_calibrated_engine_names_the_source_of_every_number() -> None:
    numbers = {"control_s", "post_s", "descriptors_per_s", "ceiling_ratio", "connect_s"}
    for name in transfer_engine_names():
        made = get_transfer_engine(name)
        assert set(made.sources) == numbers, name
        assert 0 < made.ceiling_ratio < 1
    assert set(get_registration().sources) == {"region_s", "host_s_per_byte"}
    with pytest.raises(ScenarioError, match="did you mean 'nixl_ucx_rdma'"):
        get_transfer_engine("nixl_ucx_rdm")
    with pytest.raises(ScenarioError, match="no converter"):
        get_converter("abacus")


# Qwen3-8B in bf16 between two H800 nodes of TP 8; Source: Mooncake commit 3b5a594,
# docs/source/performance/vllm/vllm-v1-pd-performance.md.
QWEN3_8B = {"group_layers": tuple(range(36)), "model_layers": 36, "dim_k": 128, "dim_v": 128,
            "page_tokens": 16, "tp": 8}  # fmt: skip
H800_MS = {128: 0.54, 512: 0.92, 1024: 1.50, 4096: 4.75, 8192: 8.84, 16384: 16.43, 32768: 31.65}


@pytest.mark.parametrize("tokens", H800_MS)
def test_the_measured_h800_curve_is_met_from_128_to_32768_tokens(tokens: int) -> None:
    end = replace(END, ranks=8, nics=8, nic_bytes_per_s=25e9)
    made = planner(
        [drivers(rep(**QWEN3_8B), rep(**QWEN3_8B))],
        engine=get_transfer_engine("mooncake_rdma_vllm"),
        producer=end,
        consumer=end,
        mean_block_run=1e9,
    )
    assert made.plan(tokens).total_s * 1e3 == pytest.approx(H800_MS[tokens], rel=0.1)
