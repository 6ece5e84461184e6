"""The run-length rule against the table and the worked case of the KV boundary study, 2.2."""

from __future__ import annotations

from typing import Any

import pytest

from hetsim.representation import BoundaryPolicy, Representation, run_bytes, verdict

D, B, N = 128, 2, 16


def rep(order: str, pack: str, page: int = N, tp: int = 4, **more: Any) -> Representation:
    fields: dict[str, Any] = {
        "semantics_id": "m",
        "group_kind": "mha_gqa",
        "group_layers": tuple(range(80)),
        "model_layers": 80,
        "kv_heads_total": 8,
        "dim_k": D,
        "dim_v": D,
        "page_tokens": page,
        "order": order,
        "kv_pack": pack,
        "enc": "bf16",
        "tp": tp,
        **more,
    }
    return Representation(**fields)


H = 2  # heads of one rank at tp 4
S = 1  # heads that a rank of tp 4 shares with one of tp 8

RULES = [
    # same layout, same shard: one page of one region
    (rep("LBNH", "separate"), rep("LBNH", "separate"), N * H * D * B),
    (rep("LBHN", "merged_row"), rep("LBHN", "merged_row"), N * H * 2 * D * B),
    (rep("BLHN", "merged_row"), rep("BLHN", "merged_row"), 80 * N * H * 2 * D * B),
    # head slices
    (rep("LBNH", "separate"), rep("LBNH", "separate", tp=8), S * D * B),
    (rep("LBNH", "merged_row"), rep("LBNH", "merged_row", tp=8), S * 2 * D * B),
    (rep("LBHN", "separate"), rep("LBHN", "separate", tp=8), S * N * D * B),
    (rep("LBHN", "merged_row"), rep("LBHN", "merged_row", tp=8), S * N * 2 * D * B),
    # token-major against head-major
    (rep("LBNH", "separate"), rep("LBHN", "separate"), D * B),
    (rep("LBNH", "merged_row"), rep("LBHN", "merged_row"), 2 * D * B),
    # packs
    (rep("LBHN", "merged_row"), rep("LBHN", "separate"), D * B),
    (rep("LBHN", "merged_row"), rep("LBHN", "planes"), D * B),
    (rep("LBHN", "planes"), rep("LBHN", "separate"), N * H * D * B),
    # pages
    (rep("LBNH", "separate", 16), rep("LBNH", "separate", 64), 16 * H * D * B),
    (rep("LBHN", "separate", 64), rep("LBHN", "separate", 16), 16 * D * B),
    (rep("LBHN", "merged_row", 16), rep("LBHN", "merged_row", 64), 16 * 2 * D * B),
    # block-packed against layer-major: one page of one layer
    (rep("BLHN", "merged_row"), rep("LBHN", "merged_row"), N * H * 2 * D * B),
]


@pytest.mark.parametrize(("p", "c", "run"), RULES)
def test_run_of_each_line_of_the_table(p: Representation, c: Representation, run: int) -> None:
    assert run_bytes(p, c) == run


def test_scales_behind_a_page_make_a_second_tiny_family_when_heads_are_cut() -> None:
    tail = {"enc": "nvfp4", "scale_gran": "block16", "scale_loc": "page_tail"}
    whole = rep("LBHN", "merged_row", **tail)
    cut = rep("LBHN", "merged_row", tp=8, **tail)
    assert run_bytes(whole, whole) == whole.page_bytes
    assert run_bytes(whole, cut) == 16 * 16  # 16 tokens, (128 + 128) / 16 scales each


def per_rank(
    p: Representation, c: Representation, tokens: int, **policy: Any
) -> tuple[float, float]:
    """Return descriptors and bytes of one rank pair."""
    drivers = verdict(p, c, BoundaryPolicy(**policy)).drivers
    assert drivers is not None
    pairs = drivers.rank_pairs
    return drivers.descriptors(tokens) / pairs, drivers.wire_bytes(tokens) / pairs


def test_worked_case_of_80_layers_and_8192_tokens() -> None:
    """8 KV heads, 128 dims, bf16: 320 KiB a token, 2.5 GiB in all. All lines re-derived: right."""
    same = rep("LBHN", "merged_row")
    assert per_rank(same, same, 8192) == (40_960, 2.5 * 2**30 / 4)
    narrow = rep("LBHN", "merged_row", tp=8)
    assert per_rank(same, narrow, 8192)[0] == 40_960
    assert run_bytes(same, narrow) == 8 * 1024
    page64 = rep("LBNH", "separate", 64)
    assert per_rank(page64, page64, 8192)[0] == 20_480
    sliced = per_rank(page64, rep("LBNH", "separate", 64, tp=8), 8192, force_scatter=True)
    assert sliced == (1_310_720, 320 * 2**20)


@pytest.mark.parametrize(("piece_mib", "count"), [(2, 160), (4, 80), (320, 1)])
def test_worked_case_with_transit_buffers(piece_mib: int, count: int) -> None:
    p, c = rep("LBNH", "separate", 64), rep("LBNH", "separate", 64, tp=8)
    made = per_rank(p, c, 8192, relayout_at="both", transit_piece_bytes=piece_mib * 2.0**20)
    assert made[0] == count


def test_token_slices_are_token_exact_and_pages_are_rounded() -> None:
    p, c = rep("LBNH", "separate", 64), rep("LBNH", "separate", 64, tp=8)
    scatter = verdict(p, c, BoundaryPolicy(force_scatter=True)).drivers
    whole = verdict(p, p).drivers
    assert scatter is not None and whole is not None
    assert scatter.wire_bytes(65) == 65 * 320 * 1024
    assert whole.wire_bytes(65) == 128 * 320 * 1024


def test_merging_block_ids_divides_only_runs_that_can_merge() -> None:
    whole = verdict(rep("LBHN", "merged_row"), rep("LBHN", "merged_row")).drivers
    cut = verdict(rep("LBHN", "merged_row"), rep("LBHN", "merged_row", tp=8)).drivers
    assert whole is not None and cut is not None
    assert whole.descriptors(8192, mean_block_run=8) == whole.descriptors(8192) / 8
    assert cut.descriptors(8192, mean_block_run=8) == cut.descriptors(8192)


def test_a_window_caps_what_crosses() -> None:
    near = rep("LBHN", "merged_row", window=1024)
    drivers = verdict(near, near).drivers
    assert drivers is not None
    assert drivers.wire_bytes(100_000) == drivers.wire_bytes(1024)
