"""From a model's attention, a KV format and a runtime's layout words to a descriptor."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hetsim.model import Attention, Model, attention_of
from hetsim.representation._descriptor import Declared, Representation, SeqShard
from hetsim.representation._words import (
    Encoding,
    GroupKind,
    Mem,
    Order,
    Pack,
    ScaleGran,
    ScaleLoc,
    Tile,
    encoding_of,
)
from hetsim.spec import spec

__all__ = ["LayoutWords", "represent", "represent_group"]


@spec
class LayoutWords:
    """How a runtime lays out its cache, whatever the model and the format.

    Scale words left out are those of the encoding.
    """

    page_tokens: int
    order: Order
    kv_pack: Pack
    tile: Tile = "linear"
    scale_gran: ScaleGran | None = None
    scale_loc: ScaleLoc | None = None
    scale_width_bytes: int = 4
    side_shipped: bool = False
    align_bytes: int = 1
    mem: Mem = "vram_rdma"


def represent(
    model: Model,
    kv_format: str,
    words: LayoutWords,
    *,
    tp: int = 1,
    pp: int = 1,
    native_formats: tuple[str, ...] = (),
    scale_id: str = "",
    seq_shard: SeqShard | None = None,
    declared: Declared | None = None,
    weight_precision: str = "",
    semantics_id: str = "",
) -> tuple[Representation, ...]:
    """Return one descriptor per cache group of ``model`` (rank 0 of each).

    Layers with equal attention share a group; a sparse-attention indexer adds one of its own.
    """
    common: dict[str, Any] = {
        "tp": tp,
        "pp": pp,
        "seq_shard": seq_shard,
        "scale_id": scale_id,
        "declared": declared or Declared(),
        "weight_precision": weight_precision,
        "semantics_id": semantics_id or model.name,
        "model_layers": model.layer_count,
    }
    encoding = encoding_of(kv_format, native_formats)
    made: list[Representation] = []
    for attention, layers in _layers_by_attention(model):
        if not _stores(attention):
            continue
        made.append(represent_group(attention, layers, encoding, words, **common))
        if attention.index_heads and attention.index_topk:
            made.append(_indexer(made[-1], attention))
    return tuple(made)


def _layers_by_attention(model: Model) -> list[tuple[Attention, tuple[int, ...]]]:
    found: dict[Attention, list[int]] = {}
    first = 0
    for group in model.layers:
        found.setdefault(group.attention, []).extend(range(first, first + group.count))
        first += group.count
    return [(attention, tuple(layers)) for attention, layers in found.items()]


def represent_group(
    attention: Attention,
    layers: tuple[int, ...],
    encoding: Encoding,
    words: LayoutWords,
    **common: Any,
) -> Representation:
    """Return the descriptor of one cache group; ``common`` as the keywords of ``represent``."""
    kind = _kind(attention)
    heads, dim_k, dim_v = _shape(attention, encoding)
    return Representation(
        group_kind=kind,
        group_layers=layers,
        kv_heads_total=heads,
        dim_k=dim_k,
        dim_v=dim_v,
        page_tokens=words.page_tokens,
        order=words.order,
        kv_pack="latent" if kind == "mla" and words.kv_pack != "slot" else words.kv_pack,
        tile=words.tile,
        enc=encoding.name,
        scale_gran=words.scale_gran or encoding.gran,
        scale_loc=words.scale_loc or encoding.loc,
        scale_width_bytes=words.scale_width_bytes,
        side_shipped=words.side_shipped,
        align_bytes=words.align_bytes,
        mem=words.mem,
        window=attention.window,
        state_bytes=attention_of(attention).state_bytes(common.get("tp", 1)),
        **common,
    )


def _stores(attention: Attention) -> bool:
    """Whether a layer keeps anything: some read the KV of an earlier layer."""
    kind = attention_of(attention)
    return bool(kind.kv_elements_per_token(1) or kind.state_bytes(1))


def _kind(attention: Attention) -> GroupKind:
    if attention.kind == "linear":
        return "ssm_state"
    if attention.kind == "mla":
        return "mla"
    return "swa" if attention.window else "mha_gqa"


def _shape(attention: Attention, encoding: Encoding) -> tuple[int, int, int]:
    """Return KV heads, key dims and value dims as the cache holds them."""
    if attention.kind == "mla":
        return 1, encoding.latent or attention.kv_lora_rank, attention.rope_dim
    if attention.kind == "linear":
        return 1, 0, 0
    return attention.kv_heads, attention.head_dim, attention.v_head_dim or attention.head_dim


def _indexer(beside: Representation, attention: Attention) -> Representation:
    """Return the group of the indexer keys: one key per token, e4m3 with an fp32 scale.

    Source: the V3.2 indexer cache of vLLM 0.33.0 (128 e4m3 dims and 4 scale bytes per token).
    """
    return replace(
        beside,
        group_kind="indexer",
        dim_k=attention.index_dim,
        dim_v=0,
        kv_heads_total=1,
        kv_pack="merged_row",
        enc="e4m3fn",
        scale_gran="block128",
        scale_loc="inline_row",
        scale_id="",
    )
