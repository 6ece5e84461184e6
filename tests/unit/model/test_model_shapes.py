"""Parameters, KV and state of well-known models against numbers worked out by hand."""

from __future__ import annotations

import time

import pytest

from hetsim.model import active_parameters, attention_of, get_model, parameters
from hetsim.model._load import _builtin


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        # Counts of the published checkpoints, to the last parameter.
        ("llama-3.1-8b", 8_030_261_248),
        ("llama-3.1-70b", 70_553_706_496),
        ("llama-2-7b", 6_738_415_616),
        ("qwen2.5-7b", 7_615_616_512),
        ("qwen3-8b", 8_190_735_360),
        ("qwen3-30b-a3b", 30_532_122_624),
        ("mixtral-8x7b", 46_702_792_704),
        ("deepseek-v3", 671_026_419_200),
        ("opt-13b", 12_853_473_280),
        ("bloom-176b", 176_247_271_424),
        ("gpt2-xl", 1_557_611_200),
        ("falcon-7b", 6_921_720_704),
        ("gpt-neox-20b", 20_554_567_680),
    ],
)
def test_total_parameters_to_the_last_one(name: str, exact: int) -> None:
    assert parameters(get_model(name)) == exact


def test_active_parameters_of_gpt_oss_follow_its_card() -> None:
    # Card, table 1: 116.83B in total and 5.13B active, the unembedding counted, the embedding not.
    model = get_model("gpt-oss-120b")
    assert parameters(model) == pytest.approx(116.83e9, rel=1e-4)
    assert active_parameters(model) == pytest.approx(5.13e9, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "elements"),
    [
        ("llama-3.1-8b", 2 * 32 * 8 * 128),
        ("llama-3.1-70b", 2 * 80 * 8 * 128),
        ("llama-3.1-405b", 2 * 126 * 8 * 128),
        ("llama-2-7b", 2 * 32 * 32 * 128),
        ("mixtral-8x7b", 2 * 32 * 8 * 128),
        ("qwen3-30b-a3b", 2 * 48 * 4 * 128),
        ("qwen3-235b-a22b", 2 * 94 * 4 * 128),
        ("gpt-oss-120b", 2 * 36 * 8 * 64),
        ("gemma-3-27b", 2 * 62 * 16 * 128),
        ("falcon-7b", 2 * 32 * 1 * 64),
        # Latent: 512 and a rotary key of 64; V3.2 adds one indexer key of 128.
        ("deepseek-v3", 61 * (512 + 64)),
        ("deepseek-v3.2", 61 * (512 + 64 + 128)),
        # Hybrids: only the attending layers store anything per token.
        ("qwen3-next-80b-a3b", 12 * 2 * 2 * 256),
        ("qwen3.5-397b-a17b", 15 * 2 * 2 * 256),
        ("kimi-linear-48b-a3b", 7 * 576),
        ("nemotron-3-nano-30b-a3b", 6 * 2 * 2 * 128),
        # Wider keys than values: 9 global layers of 4 heads, 39 windowed ones of 8.
        ("mimo-v2-flash", (9 * 4 + 39 * 8) * (192 + 128)),
        # The last 20 of 35 layers read the KV of earlier ones; of the 15, three have wide heads.
        ("gemma-4-e2b", 12 * 2 * 256 + 3 * 2 * 512),
        # Three of four layers reuse an earlier selection and keep no indexer key: 21 of 78 do.
        ("glm-5.2", 78 * 576 + 21 * 128),
    ],
)
def test_kv_elements_per_token(name: str, elements: int) -> None:
    layers = get_model(name).layers
    kept = sum(g.count * attention_of(g.attention).kv_elements_per_token(1) for g in layers)
    assert kept == elements


def test_kv_heads_are_cut_and_then_replicated() -> None:
    kind = attention_of(get_model("llama-3.1-70b").layers[0].attention)
    assert [kind.kv_elements_per_token(tp) for tp in (1, 2, 4, 8, 16)] == [
        2048, 1024, 512, 256, 256,
    ]  # fmt: skip


def test_latents_are_replicated_on_every_rank() -> None:
    kind = attention_of(get_model("deepseek-v3").layers[0].attention)
    assert kind.kv_elements_per_token(1) == kind.kv_elements_per_token(16) == 576


@pytest.mark.parametrize(
    ("name", "per_layer", "count"),
    [
        # 32 heads of 128 x 128 in fp32; convolution over 8192 channels, three steps, two bytes.
        ("qwen3-next-80b-a3b", 32 * 128 * 128 * 4 + 8192 * 3 * 2, 36),
        # 64 heads of 64 x 128 in fp32; convolution over 4096 + 2 x 8 x 128 channels.
        ("nemotron-3-nano-30b-a3b", 64 * 64 * 128 * 4 + 6144 * 3 * 2, 23),
        # 64 heads of 128 x 128 in fp32; no convolution.
        ("minimax-text-01", 64 * 128 * 128 * 4, 70),
        ("kimi-linear-48b-a3b", 32 * 128 * 128 * 4 + 3 * 4096 * 3 * 2, 20),
    ],
)
def test_constant_state(name: str, per_layer: int, count: int) -> None:
    groups = [g for g in get_model(name).layers if g.attention.kind == "linear"]
    assert sum(g.count for g in groups) == count
    for group in groups:
        assert attention_of(group.attention).state_bytes(1) == per_layer
        assert attention_of(group.attention).state_bytes(4) == per_layer / 4


@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("llama-3.1-8b", {None: 32}),
        ("gpt-oss-120b", {128: 18, None: 18}),
        ("gemma-3-27b", {1024: 52, None: 10}),
        ("deepseek-v3.2", {2048: 61}),
        ("llama-4-scout", {8192: 36, None: 12}),
        ("step-3.5-flash", {512: 33, None: 12}),
        ("mistral-7b", {None: 32}),
    ],
)
def test_how_many_layers_read_how_much(name: str, limits: dict[int | None, int]) -> None:
    counted: dict[int | None, int] = {}
    for group in get_model(name).layers:
        limit = attention_of(group.attention).context_limit
        counted[limit] = counted.get(limit, 0) + group.count
    assert counted == limits


def test_layer_kinds_of_a_model_with_leading_dense_layers() -> None:
    dense, routed = get_model("deepseek-v3").layers
    assert (dense.count, dense.mlp.kind, dense.mlp.inter) == (3, "dense", 18432)
    assert (routed.count, routed.mlp.experts, routed.mlp.top_k) == (58, 256, 8)
    assert routed.mlp.shared_inter == 2048


def test_loading_one_built_in_model_is_quick() -> None:
    get_model("tiny-llama")  # imports the readers
    best = 1.0
    for _ in range(5):
        _builtin.cache_clear()
        start = time.perf_counter()
        get_model("nemotron-3-super-120b-a12b")
        best = min(best, time.perf_counter() - start)
    assert best < 0.010
