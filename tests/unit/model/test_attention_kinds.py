"""The formulas of each attention kind against sums over tokens and numbers by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.errors import ScenarioError
from hetsim.model import Attention, Mlp, attention_of, expert_gemms, mlp_gemms, shared_gemms
from hetsim.model._mlp import active_mlp_parameters, mlp_parameters, router_gemms
from hetsim.model.attention import context_sum

MLA = Attention(
    kind="mla", heads=128, q_lora_rank=1536, kv_lora_rank=512, rope_dim=64, nope_dim=128,
    v_head_dim=128,
)  # fmt: skip
SPARSE = Attention(
    kind="mla", heads=128, q_lora_rank=1536, kv_lora_rank=512, rope_dim=64, nope_dim=128,
    v_head_dim=128, index_heads=64, index_dim=128, index_topk=2048,
)  # fmt: skip
LINEAR = Attention(
    kind="linear", heads=32, head_dim=128, v_head_dim=128, in_features=12352,
    state_elements=32 * 128 * 128, state_flop_per_element=7.0,
)  # fmt: skip

tokens = st.integers(0, 300)
limits = st.one_of(st.none(), st.integers(1, 400))


@given(new=tokens, past=tokens, limit=limits)
def test_context_sum_equals_the_sum_over_queries(new: int, past: int, limit: int | None) -> None:
    each = (past + i + 1 if limit is None else min(past + i + 1, limit) for i in range(new))
    assert context_sum(new, past, limit) == sum(each)


@given(
    new=tokens,
    past=tokens,
    window=limits,
    heads=st.sampled_from([4, 8]),
    tp=st.sampled_from([1, 2, 4]),
)
def test_gqa_prefill_equals_the_sum_over_pairs(
    new: int, past: int, window: int | None, heads: int, tp: int
) -> None:
    att = Attention(kind="gqa", heads=heads, kv_heads=2, head_dim=24, v_head_dim=16, window=window)
    pairs = sum(min(past + i + 1, window or 10**9) for i in range(new))
    # Scores: 2 x 24 FLOP a pair and head; weighted values: 2 x 16.
    assert attention_of(att).prefill_flops(new, past, tp) == pairs * heads // tp * (48 + 32)


@given(new=tokens, past=tokens, tp=st.sampled_from([1, 8]))
def test_expanded_latent_prefill(new: int, past: int, tp: int) -> None:
    heads = 128 // tp
    pairs = sum(past + i + 1 for i in range(new))
    again = past * 2 * 512 * heads * (128 + 128)  # keys and values of the past, from latents
    expected = pairs * heads * 2 * (128 + 64 + 128) + again
    assert attention_of(MLA).prefill_flops(new, past, tp) == expected


@given(new=st.integers(0, 50), past=st.integers(0, 4000))
def test_sparse_prefill_reads_the_selection_and_scans_with_the_indexer(new: int, past: int) -> None:
    read = sum(min(past + i + 1, 2048) for i in range(new))
    scanned = sum(past + i + 1 for i in range(new))
    expected = read * 128 * 2 * (512 + 64 + 512) + scanned * 2 * 64 * 128
    assert attention_of(SPARSE).prefill_flops(new, past, 1) == expected


@given(a=tokens, b=tokens, past=tokens, window=limits)
def test_a_prompt_in_two_chunks_costs_as_much_as_in_one(
    a: int, b: int, past: int, window: int | None
) -> None:
    att = Attention(kind="gqa", heads=4, kv_heads=2, head_dim=8, window=window)
    for kind in (attention_of(att), attention_of(SPARSE), attention_of(LINEAR)):
        halves = kind.prefill_flops(a, past, 1) + kind.prefill_flops(b, past + a, 1)
        assert kind.prefill_flops(a + b, past, 1) == pytest.approx(halves)


def test_latent_decode_is_counted_in_absorbed_form() -> None:
    kind = attention_of(MLA)
    assert kind.decode_flops_per_context_token(1) == 128 * 2 * (512 + 64 + 512)
    assert kind.decode_kv_elements_per_context_token(1) == 576
    assert kind.decode_kv_elements_per_context_token(8) == 576
    assert kind.context_limit is None


def test_an_indexer_reads_all_context_and_the_attention_only_its_choice() -> None:
    kind = attention_of(SPARSE)
    assert kind.context_limit == 2048
    assert kind.index_flops_per_context_token(8) == 2 * 64 * 128
    assert kind.index_elements_per_context_token(8) == 128
    assert kind.decode_kv_elements_per_context_token(1) == 576


def test_latent_projections_by_hand() -> None:
    shapes = {g.name: (g.n, g.k) for g in attention_of(MLA).gemms(7168, 8)}
    assert shapes == {
        "qkv_a": (1536 + 576, 7168),  # whole on every rank
        "q_b": (16 * 192, 1536),
        "kv_b": (16 * 256, 512),
        "o": (7168, 16 * 128),
    }


def test_gqa_projections_by_hand() -> None:
    att = Attention(kind="gqa", heads=64, kv_heads=8, head_dim=128)
    shapes = {tp: attention_of(att).gemms(8192, tp)[0].n for tp in (1, 8, 16)}
    assert shapes == {1: 80 * 128, 8: 10 * 128, 16: 6 * 128}  # 16: 4 queries, one K, one V


def test_a_gate_doubles_the_query_and_a_borrowed_kv_projects_nothing() -> None:
    plain = {"kind": "gqa", "heads": 16, "kv_heads": 2, "head_dim": 256}
    width = lambda **more: attention_of(Attention(**plain, **more)).gemms(2048, 1)[0].n  # type: ignore[arg-type]  # noqa: E731
    assert width() == (16 + 4) * 256
    assert width(gated=True) == (32 + 4) * 256
    assert width(value_is_key=True) == (16 + 2) * 256
    assert width(shared_kv=True) == 16 * 256


def test_borrowed_kv_is_read_but_not_stored() -> None:
    kind = attention_of(Attention(kind="gqa", heads=8, kv_heads=2, head_dim=64, shared_kv=True))
    assert kind.kv_elements_per_token(1) == 0
    assert kind.decode_kv_elements_per_context_token(1) == 2 * 2 * 64


def test_linear_layers_ignore_context() -> None:
    kind = attention_of(LINEAR)
    assert kind.kv_elements_per_token(1) == 0
    assert kind.decode_flops_per_context_token(1) == 0
    assert kind.decode_flops_constant(2) == 7 * 16 * 128 * 128
    assert kind.prefill_flops(10, 0, 1) == kind.prefill_flops(10, 9999, 1) == 70 * 32 * 128 * 128


@pytest.mark.parametrize("tp", [0, 3, 256])
def test_heads_that_do_not_divide_are_refused_with_the_numbers(tp: int) -> None:
    with pytest.raises(ScenarioError, match=f"tp {tp} does not divide 128 attention heads"):
        attention_of(MLA).gemms(7168, tp)


def test_kv_heads_that_fit_neither_way_are_refused() -> None:
    att = Attention(kind="gqa", heads=24, kv_heads=6, head_dim=64)
    with pytest.raises(ScenarioError, match="tp 4 and 6 KV heads"):
        attention_of(att).kv_elements_per_token(4)


def test_dense_feed_forward_is_cut_evenly() -> None:
    mlp = Mlp(kind="dense", inter=14336)
    assert [(g.n, g.k) for g in mlp_gemms(mlp, 4096, 4)] == [(7168, 4096), (4096, 3584)]
    plain = Mlp(kind="dense", inter=100, gated=False, bias=True)
    assert mlp_parameters(plain, 10) == 2 * 100 * 10 + 100 + 10


def test_routed_feed_forward_by_hand() -> None:
    mlp = Mlp(kind="moe", inter=8, experts=16, top_k=2, shared_inter=4, shared_gate=True)
    one = 3 * 8 * 10
    rest = 3 * 4 * 10 + 10 + 16 * 10  # shared expert, its gate, the router
    assert mlp_parameters(mlp, 10) == 16 * one + rest
    assert active_mlp_parameters(mlp, 10) == 2 * one + rest
    assert mlp_gemms(mlp, 10, 1) == ()
    assert sum(g.weights for g in expert_gemms(mlp, 10, 2)) == one / 2
    assert router_gemms(mlp, 10)[0].weights == 160


def test_experts_in_a_latent_width_are_narrow_outside() -> None:
    mlp = Mlp(kind="moe", inter=8, experts=4, top_k=1, latent=5, gated=False)
    assert [(g.n, g.k) for g in expert_gemms(mlp, 10, 1)] == [(8, 5), (5, 8)]
    assert [(g.n, g.k) for g in shared_gemms(mlp, 10, 4)] == [(5, 10), (10, 5)]
