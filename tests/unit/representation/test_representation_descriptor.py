"""What a descriptor weighs, and how it is built from a model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hetsim.errors import ScenarioError
from hetsim.model import Attention, LayerGroup, Mlp, Model, attention_of
from hetsim.representation import (
    LayoutWords,
    Representation,
    SeqShard,
    encoding_of,
    represent,
)

VLLM = LayoutWords(page_tokens=16, order="LBHN", kv_pack="merged_row")
GQA = Attention(kind="gqa", heads=64, kv_heads=8, head_dim=128)
MLA = Attention(kind="mla", heads=128, kv_lora_rank=512, rope_dim=64, nope_dim=128, v_head_dim=128)


def model(*groups: tuple[int, Attention]) -> Model:
    return Model(
        name="toy",
        family="toy",
        hidden=8192,
        vocab=1000,
        layers=tuple(
            LayerGroup(count=count, attention=attention, mlp=Mlp(kind="none"))
            for count, attention in groups
        ),
        max_context=100_000,
        tied_embeddings=False,
        norm_params_per_layer=0,
    )


def test_row_and_page_of_an_80_layer_gqa_model() -> None:
    (rep,) = represent(model((80, GQA)), "bf16", VLLM, tp=4)
    # 2 heads x 256 dims x 2 B = 1 KiB a token and layer; 16 of them a page.
    assert rep.row_bytes == 1024
    assert rep.page_bytes == 16 * 1024
    assert rep.regions == 80
    # 8192 tokens: 320 KiB a token over four ranks is 2.5 GiB in all.
    assert rep.instance_bytes(8192) == 2.5 * 2**30
    # A tail page costs as much as a full one.
    assert rep.bytes(8193) == rep.bytes(8192) + 80 * 16 * 1024


@pytest.mark.parametrize("tp", [1, 2, 8, 16])
def test_row_counts_the_elements_that_the_model_room_counts(tp: int) -> None:
    (rep,) = represent(model((80, GQA)), "bf16", VLLM, tp=tp)
    assert rep.row_bytes == 2 * attention_of(GQA).kv_elements_per_token(tp)
    (latent,) = represent(model((61, MLA)), "bf16", VLLM, tp=tp)
    assert latent.row_bytes == 2 * attention_of(MLA).kv_elements_per_token(tp) == 1152


@pytest.mark.parametrize(
    ("enc", "row", "mib_8192"),
    [("bf16", 1152, 549), ("ds_mla_v32", 656, 313), ("ds_mla_v4", 584, 278),
     ("ds_mla_v41", 528, 252), ("ds_mla_nvfp4", 352, 168)],
)  # fmt: skip
def test_mla_rows_weigh_what_their_composition_says(enc: str, row: int, mib_8192: int) -> None:
    """Composition and the sums for 61 layers and 8192 tokens: KV boundary study 1.2."""
    (rep,) = represent(model((61, MLA)), enc, VLLM)
    assert rep.row_bytes == row
    assert round(61 * 8192 * row / 2**20) == mib_8192


def test_v32_row_is_the_sum_of_its_parts() -> None:
    (rep,) = represent(model((61, MLA)), "ds_mla_v32", VLLM)
    assert rep.row_bytes == 512 + 4 * 4 + 64 * 2


def test_v4_pages_are_rounded_to_576_bytes() -> None:
    (rep,) = represent(model((61, MLA)), "ds_mla_v4", VLLM)
    # 16 x 584 = 9344 = 16.2 x 576, so 17 x 576.
    assert rep.page_bytes == 17 * 576


@pytest.mark.parametrize(
    ("fmt", "per_head"),
    [("fp8_e4m3", 256), ("int8", 256), ("nvfp4", 128 + 16), ("mxfp8", 256 + 8), ("int4", 128 + 8),
     ("mxfp4", 128 + 8)],
)  # fmt: skip
def test_scales_are_counted_where_they_cost_bytes(fmt: str, per_head: int) -> None:
    (rep,) = represent(model((2, GQA)), fmt, VLLM, tp=8)
    assert rep.row_bytes == per_head


def test_heads_are_replicated_beyond_their_number() -> None:
    (rep,) = represent(model((2, GQA)), "bf16", VLLM, tp=16)
    assert rep.replicated
    assert [rank.heads for rank in rep.ranks()][:4] == [(0, 1), (0, 1), (1, 2), (1, 2)]


def test_pipeline_ranks_split_the_layers_of_the_model_and_not_of_the_group() -> None:
    window = replace(GQA, window=1024)
    full, near = represent(model((2, GQA), (6, window), (2, GQA)), "bf16", VLLM, pp=2)
    assert [rank.layers for rank in full.ranks()] == [(0, 1), (8, 9)]
    assert [rank.layers for rank in near.ranks()] == [(2, 3, 4), (5, 6, 7)]
    assert (full.group_kind, near.group_kind) == ("mha_gqa", "swa")
    assert near.bytes(100_000) == near.bytes(1024) == 3 * 64 * near.page_bytes


def test_linear_layers_keep_state_and_no_rows() -> None:
    linear = Attention(
        kind="linear", heads=2, head_dim=4, v_head_dim=4, state_elements=32, in_features=8
    )
    (rep,) = represent(model((3, linear)), "bf16", VLLM, tp=2)
    assert rep.row_bytes == 0
    assert rep.bytes(1) == rep.bytes(9999) == 3 * 32 * 4 / 2


def test_layers_that_share_the_kv_of_others_store_nothing() -> None:
    groups = represent(model((2, GQA), (2, replace(GQA, shared_kv=True))), "bf16", VLLM)
    assert [group.group_layers for group in groups] == [(0, 1)]


def test_indexer_is_a_group_of_its_own() -> None:
    sparse = replace(MLA, index_heads=64, index_dim=128, index_topk=2048)
    latent, indexer = represent(model((61, sparse)), "ds_mla_v32", VLLM, tp=8)
    assert (latent.kv_pack, indexer.group_kind) == ("latent", "indexer")
    assert indexer.row_bytes == 128 + 4


def test_regions_by_pack_and_order() -> None:
    def count(order: str, pack: str) -> int:
        words = LayoutWords(page_tokens=16, order=order, kv_pack=pack)  # type: ignore[arg-type]
        return represent(model((80, GQA)), "bf16", words)[0].regions

    assert count("LBHN", "merged_row") == 80
    assert count("LBNH", "separate") == 160
    assert count("BLHN", "merged_row") == 1


def test_a_device_with_the_other_bias_stores_the_other_bias() -> None:
    assert encoding_of("fp8_e4m3", ("bf16", "fp8_e4m3fnuz")).name == "e4m3fnuz"
    assert encoding_of("fp8_e4m3", ("fp8_e4m3", "fp8_e4m3fnuz")).name == "e4m3fn"
    with pytest.raises(ScenarioError, match="cannot store KV"):
        encoding_of("tf32")


def test_every_fault_of_a_descriptor_is_named_at_once() -> None:
    (rep,) = represent(model((2, GQA)), "bf16", VLLM)
    with pytest.raises(ScenarioError) as caught:
        replace(rep, tp=3, scale_loc="page_tail", order="BHLN", enc="ds_mla_v4")
    text = str(caught.value)
    assert "8 KV heads cannot be split over tp 3" in text
    assert "needs dynamic or block scales" in text
    assert "not order 'BHLN'" in text
    assert "is a row of MLA" in text


def test_context_parallel_ranks_hold_their_share() -> None:
    (rep,) = represent(
        model((2, GQA)),
        "bf16",
        VLLM,
        seq_shard=SeqShard(size=4, rank=0, interleave_tokens=16),
    )
    assert len(list(rep.ranks())) == 4
    assert rep.bytes(6400) == represent(model((2, GQA)), "bf16", VLLM)[0].bytes(1600)
    assert isinstance(rep, Representation)
