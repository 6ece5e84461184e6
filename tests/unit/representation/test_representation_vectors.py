"""The 24 test vectors of the KV boundary study, 6.2, each derived again from the rules.

Where the derivation disagrees with the printed vector, the docstring says so.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hetsim.representation import (
    BoundaryPolicy,
    Declared,
    Representation,
    Verdict,
    detect,
    run_bytes,
    verdict,
    verdict_groups,
)

L, H, D = 80, 8, 128
STATIC = {"scale_gran": "tensor_static", "scale_loc": "checkpoint", "scale_id": "a"}
TAIL = {"enc": "nvfp4", "scale_gran": "block16", "scale_loc": "page_tail"}


def rep(
    order: str = "LBHN", pack: str = "merged_row", page: int = 16, **more: Any
) -> Representation:
    fields: dict[str, Any] = {
        "semantics_id": "m",
        "group_kind": "mha_gqa",
        "group_layers": tuple(range(L)),
        "model_layers": L,
        "kv_heads_total": H,
        "dim_k": D,
        "dim_v": D,
        "page_tokens": page,
        "order": order,
        "kv_pack": pack,
        "enc": "bf16",
        "tp": 4,
        **more,
    }
    return Representation(**fields)


def mla(enc: str = "bf16", **more: Any) -> Representation:
    shape = {"ds_mla_v4": 448}
    scales = {
        "bf16": ("none", "none"),
        "ds_mla_v32": ("block128", "inline_row"),
        "ds_mla_v4": ("block32", "page_tail"),
    }[enc]
    return rep(
        pack="latent",
        group_kind="mla",
        kv_heads_total=1,
        dim_k=shape.get(enc, 512),
        dim_v=64,
        enc=enc,
        scale_gran=scales[0],
        scale_loc=scales[1],
        **more,
    )


def ratio(made: Verdict, like: Verdict) -> float:
    assert made.drivers is not None and like.drivers is not None
    return made.drivers.wire_bytes(4096) / like.drivers.wire_bytes(4096)


def test_1_the_same_cache_is_identical() -> None:
    made = verdict(rep(), rep())
    assert (made.kind, made.relayout, made.reasons, made.kv_error) == ("identical", False, (), None)


def test_2_head_major_pages_are_cut_into_long_runs() -> None:
    p, c = rep(tp=2), rep(tp=4)
    assert verdict(p, c).kind == "byte_compatible"
    assert run_bytes(p, c) == 2 * 16 * 2 * D * 2


def test_3_token_major_pages_are_cut_into_short_runs() -> None:
    p, c = rep("LBNH", "separate", 64, tp=2), rep("LBNH", "separate", 64, tp=4)
    assert run_bytes(p, c) == 2 * D * 2
    assert verdict(p, c).kind == "relayout"
    scatter = verdict(p, c, BoundaryPolicy(force_scatter=True))
    assert scatter.kind == "byte_compatible"
    assert scatter.drivers is not None
    # 2 L T for each of the four pairs of ranks.
    assert scatter.drivers.descriptors(1000) == 4 * 2 * L * 1000


def test_3_only_both_sides_together_can_mend_it() -> None:
    """Not in the vector: the consumer alone cannot, for the runs are short at the producer."""
    made = verdict(rep("LBNH", "separate", 64, tp=2), rep("LBNH", "separate", 64, tp=4))
    assert made.drivers is not None
    assert made.drivers.relayout_at == "both"


def test_4_head_major_to_token_major_is_a_permutation_on_the_consumer() -> None:
    made = verdict(rep(), rep("LBNH"))
    assert (made.kind, made.convert_sides) == ("relayout", ("consumer",))
    assert detect(rep(), rep("LBNH"), "vllm_nixl_pull").outcome == "reject_connect"
    opted = detect(rep(), rep("LBNH"), "vllm_nixl_pull", options=["permute_local_kv"])
    assert opted.outcome == "convert"


def test_5_small_pages_into_large_ones_depend_on_the_shortest_run_allowed() -> None:
    p, c = rep(page=16), rep(page=64)
    assert run_bytes(p, c) == 16 * 2 * D * 2
    assert verdict(p, c, BoundaryPolicy(run_min_bytes=8192)).kind == "byte_compatible"
    assert verdict(p, c, BoundaryPolicy(run_min_bytes=8193)).kind == "relayout"
    assert detect(p, c, "vllm_nixl_pull").outcome == "convert"
    assert detect(p, c, "vllm_nixl_pull_legacy").outcome == "reject_connect"
    assert detect(p, rep(page=40), "vllm_nixl_pull").outcome == "reject_connect"
    tiled = replace(p, tile="vectorized_5d"), replace(c, tile="vectorized_5d")
    assert detect(*tiled, "vllm_nixl_pull").outcome == "silent", "seen on a real pair"


def test_6_token_major_pages_of_16_and_32_keep_page_sized_runs() -> None:
    p, c = rep("LBNH", "separate", 16), rep("LBNH", "separate", 32)
    assert verdict(p, c).kind == "byte_compatible"
    assert run_bytes(p, c) == p.page_bytes / 2  # the keys of one page


def test_7_large_pages_into_small_ones_are_possible_and_refused() -> None:
    p, c = rep(page=64), rep(page=16)
    assert verdict(p, c).kind == "byte_compatible"
    assert detect(p, c, "vllm_nixl_pull").outcome == "reject_connect"


def test_8_planes_into_merged_rows_leave_runs_of_one_head() -> None:
    p, c = rep(pack="planes", page=32), rep(page=32)
    assert (verdict(p, c).kind, run_bytes(p, c)) == ("relayout", D * 2)


def test_9_the_two_biases_are_one_exact_pass_apart_and_silent_without_it() -> None:
    p, c = rep(enc="e4m3fn", **STATIC), rep(enc="e4m3fnuz", **STATIC)
    made = verdict(p, c)
    assert (made.kind, made.relayout, made.kv_error) == ("requant_exact", False, None)
    assert detect(p, c, "sglang_early").outcome == "silent"
    back = verdict(c, p)
    assert back.kind == "requant_exact"
    assert "clips at 224" in back.reasons[0]


def test_10_e4m3_and_e5m2_are_lossy_and_silent_where_only_widths_are_compared() -> None:
    p, c = rep(enc="e4m3fn", **STATIC), rep(enc="e5m2", **STATIC)
    made = verdict(p, c)
    assert made.kind == "requant_lossy"
    assert made.kv_error is not None and made.kv_error.gaussian_ratio == 0.05261
    for runtime in ("vllm_mooncake", "trtllm_v2"):
        assert detect(p, c, runtime).outcome == "silent"
    for runtime in ("vllm_nixl_pull", "sglang_early", "trtllm_cpp"):
        assert detect(p, c, runtime).outcome == "reject_connect"


def test_11_other_static_scales_are_lossy_and_silent_everywhere() -> None:
    """Right as printed, but the rule's exception is too generous.

    The study calls a power-of-two ratio exact if nothing saturates. Two cases escape that: the
    subnormals of a float lose their last bit when codes are halved, and so do odd integers, so
    that for int8 no ratio but one is exact. The verdict therefore stays lossy.
    """
    p = rep(enc="e4m3fn", **STATIC)
    c = replace(p, scale_id="b")
    assert verdict(p, c).kind == "requant_lossy"
    for runtime in ("vllm_nixl_pull", "vllm_mooncake", "sglang_early", "trtllm_cpp", "trtllm_v2"):
        assert detect(p, c, runtime).outcome == "silent"


def test_12_int8_at_the_producer_halves_the_wire() -> None:
    c = rep("LBNH", "separate", 128, enc="int8", **{**STATIC, "scale_gran": "channel_static"})
    p = rep("LBNH", "separate", 128)
    made, plain = verdict(p, c), verdict(p, p)
    assert (made.kind, made.convert_sides) == ("requant_lossy", ("producer",))
    assert ratio(made, plain) == 0.5
    late = verdict(p, c, BoundaryPolicy(convert_at="consumer"))
    assert (late.convert_sides, ratio(late, plain)) == (("consumer",), 1.0)
    assert detect(p, c, "ascend_layerwise").outcome == "convert"


def test_13_scales_behind_the_heads_cannot_be_cut_with_them() -> None:
    p, c = rep(**TAIL), rep(**TAIL, tp=8)
    assert verdict(p, c).kind == "relayout"
    # Even a policy that allows runs of any length does not help: the scales are elsewhere.
    assert verdict(p, c, BoundaryPolicy(run_min_bytes=1)).kind == "relayout"
    assert detect(p, c, "vllm_nixl_pull").outcome == "reject_connect"


@pytest.mark.parametrize(
    "target",
    [
        {"enc": "mxfp8", "scale_gran": "block32", "scale_loc": "side_tensor", "side_shipped": True},
        {"enc": "int8", "scale_gran": "channel_static", "scale_loc": "checkpoint"},
    ],
)
def test_14_nvfp4_to_a_device_without_it_is_lossy_and_done_by_no_runtime(
    target: dict[str, Any],
) -> None:
    """Right as printed; note that mxfp8 holds fewer bits than nvfp4's code times its scale."""
    made = verdict(rep(**TAIL), rep(**target))
    assert made.kind == "requant_lossy"
    runtimes = ("vllm_nixl_pull", "vllm_mooncake", "sglang_early", "trtllm_cpp", "trtllm_v2")
    outcomes = {detect(rep(**TAIL), rep(**target), name).outcome for name in runtimes}
    assert "convert" not in outcomes and "accept" not in outcomes


def test_15_rows_of_two_model_generations_are_never_the_same() -> None:
    made = verdict(mla("ds_mla_v32"), mla("ds_mla_v4"))
    assert made.kind == "incompatible"
    assert made.drivers is None
    assert any("dim_k differs" in reason for reason in made.reasons)
    # Both call themselves fp8_ds_mla, so the handshake passes and the region length fails later.
    found = detect(mla("ds_mla_v32"), mla("ds_mla_v4"), "vllm_nixl_pull")
    assert found.outcome == "reject_request"


def test_16_one_rank_of_replicated_rows_is_read_and_seven_wait_for_release() -> None:
    made = verdict(mla(tp=8), mla(tp=1))
    assert made.kind == "identical"
    assert made.drivers is not None
    assert (made.drivers.rank_pairs, made.drivers.release_only_ranks) == (1, 7)
    assert made.drivers.wire_bytes_per_token == 1152 * L
    # The other way round every reader gets its own copy.
    back = verdict(mla(tp=1), mla(tp=8)).drivers
    assert back is not None
    assert (back.rank_pairs, back.wire_bytes_per_token) == (8, 8 * 1152 * L)


def test_17_scales_in_the_row_travel_with_it() -> None:
    same = rep(enc="int8", scale_gran="token_head_dyn", scale_loc="inline_row")
    assert verdict(same, same).kind == "identical"


def test_18_scales_left_behind_make_codes_useless() -> None:
    """Incompatible as printed. ``silent unless checked``: SGLang is where it is checked."""
    same = rep(enc="int8", scale_gran="token_head_dyn", scale_loc="side_tensor")
    assert verdict(same, same).kind == "incompatible"
    assert detect(same, same, "vllm_mooncake").outcome == "silent"
    assert verdict(replace(same, side_shipped=True), replace(same, side_shipped=True)).kind == (
        "identical"
    )


def test_19_fractal_tiles_are_a_permutation_of_rows() -> None:
    fields = {**STATIC, "enc": "int8"}
    p = rep("LBNH", "separate", 128, tile="nz_fractal", **fields)
    made = verdict(p, rep("LBNH", "separate", 128, **fields))
    assert (made.kind, made.relayout) == ("relayout", True)


def test_20_of_replicated_heads_each_is_read_once() -> None:
    """The vector names no verdict; every rank holds one head on both sides, so: identical."""
    made = verdict(rep(tp=16), rep(tp=8))
    assert made.kind == "identical"
    assert made.drivers is not None
    assert (made.drivers.rank_pairs, made.drivers.release_only_ranks) == (8, 8)
    assert made.drivers.wire_bytes_per_token == 2 * H * D * 2 * L
    assert detect(rep(tp=16), rep(tp=8), "vllm_nixl_pull").outcome == "reject_connect"


def test_21_a_draft_group_on_one_side_leaves_the_target_untouched() -> None:
    """Printed as byte-compatible; derived: identical, since every group has regions of its own.

    Byte-compatible is right only where blocks pack all layers, draft layers included.
    """
    target = rep(model_layers=L + 1)
    draft = rep(group_kind="draft", group_layers=(L,), model_layers=L + 1)
    ((_, made),) = verdict_groups((target, draft), (target,))
    assert made.kind == "identical"
    packed = rep("BLHN", model_layers=L + 1)
    wider = replace(packed, group_layers=tuple(range(L + 1)))
    assert verdict(wider, packed).kind == "byte_compatible"
    assert detect((target, draft), (target,), "vllm_nixl_pull").outcome == "reject_connect"
    lacking = verdict_groups((target,), (target, draft))
    assert [verdict.kind for _, verdict in lacking] == ["identical", "incompatible"]
    assert len(verdict_groups((target,), (target, draft), recompute=["draft"])) == 1


def test_22_memory_out_of_reach_adds_staging_and_no_verdict() -> None:
    made = verdict(rep(), rep(mem="vram_no_rdma"))
    assert made.kind == "identical"
    assert made.drivers is not None
    assert made.drivers.staged_sides == ("consumer",)


def test_23_two_words_for_the_same_bytes_are_refused() -> None:
    p, c = rep(declared=Declared(dtype="auto")), rep(declared=Declared(dtype="bfloat16"))
    assert verdict(p, c).kind == "identical"
    assert detect(p, c, "vllm_nixl_pull").outcome == "reject_connect"
    assert detect(p, c, "vllm_nixl_pull", options=["no_compat_check"]).outcome == "accept"
    assert detect(p, c, "vllm_mooncake").outcome == "accept"


@pytest.mark.parametrize("pack", ["separate", "merged_row"])
@pytest.mark.parametrize("dim", [64, 128])
def test_24_sublanes_that_interleave_keys_and_values_are_a_permutation(pack: str, dim: int) -> None:
    """Right, but not for the printed reason alone.

    Padding explains it for 64 dims. With 128 dims there is none, and token-major merged rows have
    the same order of heads, K and V; what still differs is that a 32-bit sublane holds one bf16
    element of K beside one of V.
    """
    p = rep("LBNH", pack, dim_k=dim, dim_v=dim)
    c = rep("LBNH", "head_interleaved", dim_k=dim, dim_v=dim)
    assert (verdict(p, c).kind, run_bytes(p, c)) == ("relayout", 2)
