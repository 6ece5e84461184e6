"""Rules of the verdict that no vector covers: order of steps, sides, wire format, shards."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hetsim.errors import ScenarioError
from hetsim.representation import (
    BoundaryPolicy,
    Declared,
    Representation,
    SeqShard,
    detect,
    mismatches,
    verdict,
)


def rep(**more: Any) -> Representation:
    fields: dict[str, Any] = {
        "semantics_id": "m",
        "group_kind": "mha_gqa",
        "group_layers": tuple(range(4)),
        "model_layers": 4,
        "kv_heads_total": 8,
        "dim_k": 128,
        "dim_v": 128,
        "page_tokens": 16,
        "order": "LBHN",
        "kv_pack": "merged_row",
        "enc": "bf16",
        "tp": 2,
        **more,
    }
    return Representation(**fields)


FP8 = {
    "enc": "e4m3fn",
    "scale_gran": "tensor_static",
    "scale_loc": "checkpoint",
    "scale_id": "unit",
}


@pytest.mark.parametrize(
    "change",
    [{"semantics_id": "n"}, {"group_kind": "draft"}, {"kv_heads_total": 4}, {"dim_k": 64},
     {"window": 128}],
)  # fmt: skip
def test_what_the_numbers_mean_comes_first(change: dict[str, Any]) -> None:
    made = verdict(rep(), rep(**change, **FP8))
    assert made.kind == "incompatible"
    assert next(iter(change)) in made.reasons[0]


def test_missing_layers_are_incompatible_and_extra_ones_are_left_behind() -> None:
    fewer = rep(group_layers=(0, 1))
    assert verdict(fewer, rep()).kind == "incompatible"
    made = verdict(rep(), fewer)
    assert made.kind == "byte_compatible"
    assert made.drivers is not None
    assert made.drivers.wire_bytes_per_token == 2 * 8 * 256 * 2


def test_widening_is_exact_only_with_scales_that_need_no_rounding() -> None:
    """fp8 with an arbitrary static scale rounds when multiplied out into bf16.

    The study calls narrow to wide exact in value; that holds for unit scales and for mx blocks,
    whose scales are powers of two.
    """
    assert verdict(rep(**FP8), rep()).kind == "requant_exact"
    assert verdict(rep(**{**FP8, "scale_id": "a"}), rep()).kind == "requant_lossy"
    block = {"scale_gran": "block32", "scale_loc": "inline_row"}
    assert verdict(rep(enc="mxfp8", **block), rep()).kind == "requant_exact"
    assert verdict(rep(enc="mxfp8", **block), rep(enc="fp16")).kind == "requant_lossy"
    dyn = {"scale_gran": "token_head_dyn", "scale_loc": "inline_row"}
    assert verdict(rep(enc="int8", **dyn), rep()).kind == "requant_lossy"


def test_twins_with_other_calibrations_are_lossy() -> None:
    other = {**FP8, "enc": "e4m3fnuz", "scale_id": "b"}
    assert verdict(rep(**FP8), rep(**other)).kind == "requant_lossy"


def test_both_findings_are_kept_and_share_one_pass() -> None:
    made = verdict(rep(), rep(order="LBNH", **FP8), BoundaryPolicy(relayout_at="producer"))
    assert (made.kind, made.relayout) == ("requant_lossy", True)
    assert made.drivers is not None
    # Two tensor ranks send half each: 4 layers x 4 heads x 256 dims.
    assert made.drivers.producer == (4 * 4 * 256 * 2, 4 * 4 * 256)
    assert made.drivers.consumer == (0, 0)


def test_a_relayout_reads_and_writes_the_wire_bytes_once() -> None:
    made = verdict(rep(), rep(order="LBNH"))
    assert made.drivers is not None
    assert made.drivers.consumer == (4 * 4 * 256 * 2, 4 * 4 * 256 * 2)
    # Received as the producer holds it: whole pages.
    assert [flow.run_bytes for flow in made.drivers.flows] == [16 * 4 * 256 * 2]


def test_producer_side_permutation_sends_runs_of_the_consumers_layout() -> None:
    policy = BoundaryPolicy(relayout_at="producer")
    made = verdict(rep(order="LBNH", tp=1), rep(order="LBNH", tp=2), policy)
    assert made.drivers is not None
    assert made.drivers.relayout_at == "producer"
    assert [flow.run_bytes for flow in made.drivers.flows] == [16 * 4 * 256 * 2]


def test_a_wire_format_of_its_own_converts_on_both_sides() -> None:
    made = verdict(rep(), rep(), BoundaryPolicy(wire_enc="int8"))
    assert made.convert_sides == ("producer", "consumer")
    assert made.kind == "requant_lossy"
    assert made.drivers is not None
    assert made.drivers.wire_bytes_per_token == 4 * 8 * 256
    assert made.kv_error is not None
    # int8 by channel, then bf16: the squares add.
    assert made.kv_error.gaussian_ratio == pytest.approx((0.007809**2 + 0.001661**2) ** 0.5)


def test_naming_the_producers_format_for_the_wire_converts_at_the_consumer() -> None:
    made = verdict(rep(), rep(**FP8), BoundaryPolicy(wire_enc="bf16"))
    assert made.convert_sides == ("consumer",)


def test_pages_that_do_not_divide_are_permuted() -> None:
    assert verdict(rep(page_tokens=48), rep(page_tokens=32)).kind == "relayout"


def test_scales_in_another_place_are_a_permutation() -> None:
    dyn = {"enc": "int8", "scale_gran": "token_head_dyn"}
    inline = rep(scale_loc="inline_row", **dyn)
    aside = rep(scale_loc="side_tensor", side_shipped=True, **dyn)
    assert verdict(inline, aside).kind == "relayout"


def test_pipeline_splits_that_differ_are_byte_compatible() -> None:
    made = verdict(rep(pp=2), rep(pp=1))
    assert made.kind == "byte_compatible"
    assert made.drivers is not None
    assert made.drivers.rank_pairs == 4
    assert made.drivers.sender_share == 0.25
    assert made.drivers.receiver_share == 0.5


def test_state_of_linear_layers_crosses_once_and_whole() -> None:
    state = {"group_kind": "ssm_state", "kv_heads_total": 1, "dim_k": 0, "dim_v": 0}
    p = rep(state_bytes=1000.0, **state)
    made = verdict(p, p)
    assert (made.kind, verdict(p, replace(p, tp=4, state_bytes=500.0)).kind) == (
        "identical",
        "byte_compatible",
    )
    assert made.drivers is not None
    assert made.drivers.wire_bytes(1) == made.drivers.wire_bytes(9999) == 4 * 2 * 1000.0


@pytest.mark.parametrize(("interleave", "kind"), [(16, "byte_compatible"), (1, "relayout")])
def test_context_parallel_runs_must_hold_a_page(interleave: int, kind: str) -> None:
    shard = SeqShard(size=2, rank=0, interleave_tokens=interleave)
    made = verdict(rep(), rep(seq_shard=shard))
    assert made.kind == kind
    assert made.drivers is not None
    assert made.drivers.wire_bytes(320) == 320 * 4 * 8 * 256 * 2


def test_regions_and_greetings_are_counted_over_all_ranks() -> None:
    made = verdict(rep(tp=2, pp=2), rep(tp=4)).drivers
    assert made is not None
    assert (made.producer_regions, made.consumer_regions) == (2 * 4, 4 * 4)
    assert made.handshake_pairs == 4 * 4


def test_detection_keeps_every_finding_and_the_first_refusal_wins() -> None:
    found = detect(rep(), rep(page_tokens=32, semantics_id="n"), "sglang_early")
    assert found.outcome == "reject_connect"
    assert [finding.mismatch for finding in found.findings] == ["fine_tune", "page_size"]


def test_a_wrong_byte_outweighs_a_right_conversion() -> None:
    found = detect(rep(**FP8), rep(tp=4, **{**FP8, "scale_id": "b"}), "vllm_nixl_pull")
    assert found.outcome == "silent"


def test_without_its_hash_vllm_compares_lengths_only() -> None:
    free = ["no_compat_check"]
    e5m2, bf16 = rep(**{**FP8, "enc": "e5m2"}), rep()
    assert detect(rep(**FP8), e5m2, "vllm_nixl_pull", options=free).outcome == "silent"
    assert detect(rep(**FP8), bf16, "vllm_nixl_pull", options=free).outcome == "reject_request"


def test_unknown_behaviour_counts_as_the_worst_and_says_so() -> None:
    found = detect(rep(), rep(page_tokens=32), "tpu")
    assert (found.outcome, found.findings[0].established) == ("silent", False)


def test_version_strings_are_compared_by_vllm_only() -> None:
    p = rep(declared=Declared(version="0.33.0"))
    c = rep(declared=Declared(version="0.33.1"))
    assert detect(p, c, "vllm_nixl_push").outcome == "reject_connect"
    assert detect(p, c, "trtllm_cpp").outcome == "accept"


def test_every_runtime_answers_every_mismatch() -> None:
    from hetsim.representation._detection_table import COLUMNS, TABLE

    known = {"R", "r", "S", "C", "ok", "-", "?"}
    for column in COLUMNS.values():
        for cell in TABLE[column].values():
            cells = {cell} if isinstance(cell, str) else {value for _, value in cell}
            assert cells <= known
            assert isinstance(cell, str) or cell[-1][0] == "else"


def test_an_unknown_runtime_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match="did you mean 'vllm_nixl_pull'"):
        detect(rep(), rep(), "vllm_nixl_pul")


def test_equal_caches_have_no_mismatch() -> None:
    assert list(mismatches(rep(), rep())) == []
