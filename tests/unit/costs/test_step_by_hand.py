"""Steps of a tiny model on a device of 100 TFLOP/s and 1 TB/s, where everything is ideal."""

from dataclasses import replace

import pytest

from hetsim.costs import GroupLinks, Layout, Overheads, RankLoad
from hetsim.errors import ScenarioError
from hetsim.model import Attention, Mlp

# Hidden 64, 4 heads of 16, 2 KV heads: qkv 64 x 128, o 64 x 64; gate_up 64 x 256, down 128 x 64.
LAYER_WEIGHTS = 64 * 128 + 64 * 64 + 64 * 256 + 128 * 64
HEAD_WEIGHTS = 64 * 100


def test_model_flops_are_two_per_weight_and_token(kit):
    cost = kit.build().step(((10, 0),), 0, (0.0,))
    attention = 2 * 4 * 4 * 16 * (10 * 11 / 2)
    assert cost.flops == 2 * (2 * LAYER_WEIGHTS * 10 + HEAD_WEIGHTS) + attention


def test_decode_reads_weights_and_kv(kit):
    point = kit.build().decode(1)
    assert point.bytes_const == 2 * (2 * LAYER_WEIGHTS + HEAD_WEIGHTS)
    # Two layers, K and V of two heads of 16, two bytes each.
    assert point.bytes_slopes == (2 * 2 * 2 * 16 * 2,)
    assert point.slopes_s[0] == pytest.approx(256 / 1e12, rel=0.01)


def test_projection_time_is_its_roofline(kit):
    model = kit.build(calibration=kit.ideal(p=8.0))
    rows = {row.name: row for row in model.operators((), 1, (0.0,))}
    weights, inputs, outputs = 64 * 128 * 2, 64 * 2, 128 * 2
    assert rows["qkv"].bytes == 2 * (weights + inputs + outputs)
    assert rows["qkv"].time_s == pytest.approx(2 * (weights + inputs + outputs) / 1e12, rel=1e-3)
    assert rows["qkv"].bound_by == "memory"


def test_compute_bound_projection_reaches_the_peak(kit):
    model = kit.build(accelerator=kit.device(memory_bytes_per_s=1e15))
    rows = {row.name: row for row in model.operators(((4096, 0),), 0, (0.0,))}
    assert rows["gate_up"].time_s == pytest.approx(2 * 2 * 64 * 256 * 4096 / 1e14, rel=1e-3)
    assert rows["gate_up"].bound_by == "compute"


def test_floors_count_per_kernel_and_shrink_in_graphs(kit):
    full = kit.build(calibration=kit.ideal(t0_s=1e-3))
    half = kit.build(
        calibration=kit.ideal(t0_s=1e-3), overheads=replace(kit.overheads, floor_scale=0.5)
    )
    # Two layers of four projections and one attention, and the head.
    assert full.decode(1).const_s - half.decode(1).const_s == pytest.approx(0.5e-3 * (2 * 5 + 1))


def test_host_time_is_added_per_step_and_sequence(kit):
    bare = kit.build()
    hosted = kit.build(overheads=replace(kit.overheads, host_step_s=1.0, host_per_sequence_s=0.25))
    assert hosted.decode(4).const_s - bare.decode(4).const_s == pytest.approx(2.0)
    chunks = ((8, 0), (8, 0))
    more = hosted.step(chunks, 1, (5.0,)).time_s - bare.step(chunks, 1, (5.0,)).time_s
    assert more == pytest.approx(1.75)


def test_every_microbatch_has_its_host_time(kit):
    hosted = replace(kit.overheads, host_step_s=1.0)
    model = kit.build(kit.tiny(count=4), layout=Layout(pp=4), overheads=hosted)
    bare = kit.build(kit.tiny(count=4), layout=Layout(pp=4))
    for batch, microbatches in ((1, 1), (3, 3), (9, 4)):
        more = model.decode(batch).const_s - bare.decode(batch).const_s
        assert more == pytest.approx(microbatches)


def test_mixed_step_scales_prompts_and_decodes_apart(kit):
    slow = replace(kit.overheads, kernel_scale_decode=2.0, kernel_scale_prefill=0.5)
    bare, scaled = kit.build(), kit.build(overheads=slow)
    alone = bare.step((), 3, (30.0,)).time_s
    mixed = bare.step(((64, 0),), 3, (30.0,)).time_s
    assert scaled.step((), 3, (30.0,)).time_s == pytest.approx(2.0 * alone)
    assert scaled.step(((64, 0),), 0, (0.0,)).time_s == pytest.approx(
        0.5 * bare.step(((64, 0),), 0, (0.0,)).time_s
    )
    assert scaled.step(((64, 0),), 3, (30.0,)).time_s == pytest.approx(0.5 * mixed + 1.5 * alone)


def test_logits_only_for_sequences(kit):
    rows = {row.name: row for row in kit.build().operators(((500, 0),), 0, (0.0,))}
    assert rows["lm_head"].flops == 2 * HEAD_WEIGHTS


def test_tensor_parallel_halves_weights_and_adds_all_reduces(kit):
    one, two = kit.build(), kit.build(layout=Layout(tp=2))
    assert two.decode(1).bytes_const == one.decode(1).bytes_const
    rows = {row.name: row for row in two.operators((), 1, (0.0,))}
    assert rows["qkv"].flops == 0.5 * 2 * 2 * 64 * 128
    assert rows["attention_all_reduce"].count == 2
    assert rows["mlp_all_reduce"].time_s > 0.0


def test_kv_heads_are_replicated_beyond_their_number(kit):
    assert kit.build(layout=Layout(tp=2)).kv_bytes_per_token_per_device == 128
    assert kit.build(layout=Layout(tp=4)).kv_bytes_per_token_per_device == 128


def test_pipeline_round_takes_one_stage_time_per_stage(kit):
    one = kit.build(kit.tiny(count=64), layout=Layout(pp=1))
    two = kit.build(kit.tiny(count=64), layout=Layout(pp=2))
    # Two sequences in two microbatches: two stage times, each with half of the layers.
    layers = [row for row in two.operators((), 2, (0.0,)) if row.count == 32]
    whole = [row for row in one.operators((), 1, (0.0,)) if row.count == 64]
    assert sum(row.time_s for row in layers) == pytest.approx(sum(row.time_s for row in whole))
    assert two.decode(2).slopes_s[0] == pytest.approx(0.5 * one.decode(2).slopes_s[0])
    # A single sequence cannot fill two stages: all its context is read in either.
    assert two.decode(1).slopes_s[0] == pytest.approx(one.decode(1).slopes_s[0])
    assert two.weight_bytes_per_device < 0.6 * one.weight_bytes_per_device


def test_pipeline_of_uneven_stages_waits_for_the_fuller(kit):
    three = kit.build(kit.tiny(count=3), layout=Layout(pp=2))
    rows = {row.name: row for row in three.operators((), 1, (0.0,))}
    assert rows["qkv"].count == 2


def test_experts_read_what_they_are_expected_to_touch(kit):
    moe = Mlp(kind="moe", inter=32, experts=8, top_k=2)
    model = kit.build(kit.tiny(mlp=moe))
    one, many = (
        {row.name: row for row in model.operators((), batch, (0.0,))}["experts"]
        for batch in (1, 10_000)
    )
    expert = 3 * 64 * 32 * 2
    tokens, rows = 4 * 64, 2 * (64 + 2 * 32 + 32 + 64) * 2
    assert one.bytes == 2 * (2 * expert + tokens + rows)
    assert one.flops == 2 * 2 * 2 * 3 * 64 * 32
    assert many.bytes == pytest.approx(2 * (8 * expert + 10_000 * (tokens + rows)))


def test_the_busiest_expert_rank_sets_the_pace(kit):
    moe = Mlp(kind="moe", inter=32, experts=8, top_k=2)
    model = kit.build(kit.tiny(mlp=moe), layout=Layout(tp=2, ep=2))
    experts = {row.name: row for row in model.operators((), 1, (0.0,))}["experts"]
    # One pick falls to each rank on average, more to the fuller of the two.
    assert 2 * 1.0 < experts.bytes / (3 * 64 * 32 * 2) < 2 * 2.0


def test_attention_dp_replicates_attention_and_shares_experts(kit):
    moe = Mlp(kind="moe", inter=32, experts=8, top_k=2)
    model = kit.build(kit.tiny(mlp=moe), layout=Layout(dp=2, ep=2))
    rows = {row.name: row for row in model.operators((), 8, (80.0,))}
    assert rows["qkv"].flops == 2 * 4 * 2 * 64 * 128
    assert {"moe_dispatch", "moe_combine"} <= rows.keys()
    assert model.decode(8).slopes_s[0] == pytest.approx(0.5 * kit.build().decode(8).slopes_s[0])


def test_slowest_dp_rank_counts(kit):
    moe = Mlp(kind="moe", inter=32, experts=8, top_k=2)
    model = kit.build(kit.tiny(mlp=moe), layout=Layout(dp=2, ep=2))
    even = model.step_ranks((RankLoad((), 4, (500.0,)), RankLoad((), 4, (500.0,))))
    skewed = model.step_ranks((RankLoad((), 4, (1000.0,)), RankLoad((), 4, (0.0,))))
    assert skewed.time_s - even.time_s == pytest.approx(
        500.0 * model.decode_ranks((4, 4)).ranks[0].slopes_s[0]
    )
    assert even.time_s == pytest.approx(model.step((), 8, (1000.0,)).time_s)


def test_decode_ranks_add_up_to_the_step(kit):
    moe = Mlp(kind="moe", inter=32, experts=8, top_k=2)
    model = kit.build(kit.tiny(mlp=moe), layout=Layout(dp=2, ep=2))
    point = model.decode_ranks((5, 2))
    loads = (RankLoad((), 5, (50.0,)), RankLoad((), 2, (70.0,)))
    slowest = max(
        rank.const_s + rank.slopes_s[0] * load.context_sums[0]
        for rank, load in zip(point.ranks, loads, strict=True)
    )
    assert model.step_ranks(loads).time_s == point.common_s + slowest


def test_chunks_are_dealt_over_dp_ranks(kit):
    moe = Mlp(kind="moe", inter=32, experts=8, top_k=2)
    model = kit.build(kit.tiny(mlp=moe), layout=Layout(dp=2, ep=2))
    both = model.step(((64, 0), (64, 0)), 0, (0.0,)).time_s
    stacked = model.step_ranks((RankLoad(((64, 0), (64, 0)), 0, (0.0,)), RankLoad((), 0, (0.0,))))
    assert both < stacked.time_s


def test_windows_split_the_context(kit):
    local = Attention(kind="gqa", heads=4, kv_heads=2, head_dim=16, window=32)
    model = kit.build(kit.tiny(attention=local))
    assert model.windows == (32,)
    near, far = (model.step(((8, past),), 0, (0.0,)).flops for past in (24, 2400))
    assert far > near
    assert model.step(((8, 240),), 0, (0.0,)).flops == far


def test_linear_attention_has_state_and_no_slope(kit):
    linear = Attention(
        kind="linear", heads=4, head_dim=16, v_head_dim=16, in_features=256, state_elements=1024
    )
    model = kit.build(kit.tiny(attention=linear))
    assert model.kv_bytes_per_token_per_device == 0.0
    assert model.state_bytes_per_sequence == 2 * 1024 * 4
    assert model.decode(4).slopes_s == (0.0,)
    state = 2 * 2 * 1024 * 4  # read and written in two layers, per sequence
    more = model.decode(4).bytes_const - model.decode(3).bytes_const
    assert more == pytest.approx(state)


def test_linear_prompts_cost_the_same_after_any_past(kit):
    linear = Attention(
        kind="linear", heads=4, head_dim=16, v_head_dim=16, in_features=256, state_elements=1024
    )
    calibration = kit.ideal(s0_tokens=1000.0, q0=5000.0)
    model = kit.build(kit.tiny(attention=linear), calibration=calibration)
    plain = kit.build(kit.tiny(attention=linear))
    near = model.step(((64, 0),), 0, (0.0,)).time_s
    assert model.step(((64, 90_000),), 0, (0.0,)).time_s == near
    assert near == plain.step(((64, 0),), 0, (0.0,)).time_s


def test_latent_kv_is_replicated_over_ranks(kit):
    mla = Attention(kind="mla", heads=4, kv_lora_rank=32, rope_dim=8, nope_dim=16, v_head_dim=16)
    one, four = (
        kit.build(kit.tiny(attention=mla), layout=Layout(tp=tp)).kv_bytes_per_token_per_device
        for tp in (1, 4)
    )
    assert one == four == 2 * 40 * 2


def test_narrow_weights_are_dequantised_not_faster(kit):
    narrow = kit.build(precision=kit.bf16(weights="int4"))
    wide = kit.build()
    assert narrow.decode(1).bytes_const < 0.5 * wide.decode(1).bytes_const
    prompt = ((4096, 0),)
    fast = {"memory_bytes_per_s": 1e15}
    times = [
        kit.build(accelerator=kit.device(**fast), precision=p).step(prompt, 0, (0.0,)).time_s
        for p in (kit.bf16(), kit.bf16(weights="int4"))
    ]
    assert times[1] == pytest.approx(times[0], rel=1e-6)
    assert any("dequantised" in note for note in narrow.notes)


def test_weights_fill_the_device_with_the_same_count_as_time(kit):
    model = kit.build()
    read = model.decode(1).bytes_const
    other = 2 * (100 * 64 + 2 * 128 + 64)  # embedding and norms are held, not streamed
    assert model.weight_bytes_per_device == read + other


def test_activation_bytes_grow_with_tokens(kit):
    model = kit.build()
    assert model.activation_bytes(200) == 2 * model.activation_bytes(100) > 0


def test_group_beyond_its_domain_needs_a_network(kit):
    with pytest.raises(ScenarioError, match="network"):
        kit.build(layout=Layout(tp=4), links=GroupLinks(devices_per_domain=2))
    far = GroupLinks(devices_per_domain=2, network_bytes_per_s=50e9, network_latency_s=1e-6)
    slow = kit.build(layout=Layout(tp=4), links=far).decode(1).const_s
    assert slow > kit.build(layout=Layout(tp=4)).decode(1).const_s


def test_every_layout_problem_at_once(kit):
    with pytest.raises(ScenarioError) as caught:
        kit.build(layout=Layout(tp=2, ep=2, pp=3))
    assert len(caught.value.problems) == 2
    with pytest.raises(ScenarioError) as caught:
        Layout(tp=0, pp=-1)
    assert len(caught.value.problems) == 2
    with pytest.raises(ScenarioError, match="divide tp \\* dp"):
        Layout(tp=2, ep=4)


def test_an_empty_step_costs_nothing(kit):
    assert kit.build().step((), 0, (0.0,)).time_s == 0.0


def test_grade_is_the_worst_that_matters(kit):
    assert kit.build().grade == "fitted"
    assert kit.build(calibration=kit.ideal(grade="datasheet")).grade == "datasheet"


def test_instance_peaks_count_all_devices(kit):
    model = kit.build(layout=Layout(tp=2, pp=2))
    assert (model.peak_flop_per_s, model.peak_bytes_per_s) == (4e14, 4e12)


def test_overheads_default_to_none_at_all():
    assert Overheads() == Overheads(
        host_step_s=0.0,
        host_per_sequence_s=0.0,
        kernel_scale_decode=1.0,
        kernel_scale_prefill=1.0,
        floor_scale=1.0,
    )


@pytest.mark.parametrize(
    ("heads", "kv_heads", "head_dim", "tp", "factor"),
    [
        (4, 2, 128, 1, 1.0),
        (4, 4, 128, 1, 1.5),
        # Two query heads share a KV head, which two ranks hold twice: still a group of ...
        (4, 1, 128, 2, 1.0),
        # ... but four ranks have one query head each.
        (4, 1, 128, 4, 1.5),
        (4, 2, 64, 1, 1.2),
        (4, 4, 256, 1, 0.9 * 1.5),
    ],
)
def test_a_byte_of_kv_takes_what_its_heads_make_of_it(
    kit, heads: int, kv_heads: int, head_dim: int, tp: int, factor: float
) -> None:
    shape = {"kind": "gqa", "heads": heads, "kv_heads": kv_heads, "head_dim": head_dim}
    model = kit.tiny(Attention(**shape))
    usual, other = (
        kit.build(model, layout=Layout(tp=tp), calibration=kit.ideal(**more)).decode(1).slopes_s[0]
        for more in ({}, {"lone_head": 1.5, "head_64": 1.2, "head_256": 0.9})
    )
    assert other == pytest.approx(factor * usual, rel=1e-6)
