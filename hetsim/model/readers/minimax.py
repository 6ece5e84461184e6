"""MiniMax: lightning attention (Text-01, M1) and block-sparse attention (M3)."""

from __future__ import annotations

from dataclasses import replace

from hetsim.model._config import Config
from hetsim.model._types import Attention, Model
from hetsim.model.readers._common import dense_layers, dense_mlp, frame, gqa
from hetsim.model.readers.moe import note_mtp, routed
from hetsim.spec import register

__all__: list[str] = []

_LIGHTNING_FLOP = 5.0
"""Per state element and token: decay 1, rank-one update 2, read 2."""


def _lightning(plain: Attention) -> Attention:
    """Return lightning attention: q, k, v and an output gate, all of full width, and a norm."""
    wide = plain.heads * plain.head_dim
    return Attention(
        kind="linear",
        heads=plain.heads,
        kv_heads=plain.heads,
        head_dim=plain.head_dim,
        v_head_dim=plain.head_dim,
        in_features=4 * wide,
        state_elements=wide * plain.head_dim,
        state_flop_per_element=_LIGHTNING_FLOP,
        extra_params=wide,
    )


@register("model_reader", "minimax")
@register("model_reader", "minimax_m1")
@register("model_reader", "minimax_text_01")
def read_minimax_text(cfg: Config) -> Model:
    """Return a MiniMax Text-01 or M1: one layer in eight attends, the others are lightning."""
    full, count = gqa(cfg), cfg.layers()
    if "attn_type_list" in cfg:
        linear = [not item for item in cfg.integers("attn_type_list", count)]
    elif "layer_types" in cfg:
        linear = [kind == "linear_attention" for kind in cfg.words("layer_types", count)]
    else:
        linear = [(i + 1) % 8 != 0 for i in range(count)]
    moe = routed(cfg, cfg.count("intermediate_size"))
    light = _lightning(full)
    return frame(cfg, [(light if flat else full, moe) for flat in linear])


def _sparse(cfg: Config, plain: Attention) -> Attention:
    """Return GQA that reads the blocks which an indexer picks."""
    part = cfg.section("sparse_attention_config")
    blocks, size = part.count("sparse_topk_blocks"), part.count("sparse_block_size")
    cfg.note(
        "block-sparse attention reads topk blocks of context; its indexer keeps one key a token"
    )
    return replace(
        plain,
        index_topk=blocks * size,
        index_heads=part.count("sparse_num_index_heads"),
        index_dim=part.count("sparse_index_dim"),
    )


def read_minimax_m3(cfg: Config) -> Model:
    """Return a MiniMax M3: leading dense layers, then sparse attention and routed experts."""
    plain, count = gqa(cfg), cfg.layers()
    full = replace(plain, extra_params=2 * plain.head_dim if cfg.flag("use_qk_norm") else 0)
    sparse = _sparse(cfg, full) if "sparse_attention_config" in cfg else full
    freq = cfg.section("sparse_attention_config") if sparse is not full else None
    picked = freq.integers("sparse_attention_freq", count) if freq else [0] * count
    inter = cfg.count("moe_intermediate_size", "intermediate_size")
    moe = routed(
        cfg, inter, shared_inter=cfg.count("shared_intermediate_size", default=0, low=0),
        router_bias=cfg.flag("use_routing_bias"),
    )  # fmt: skip
    flat = dense_mlp(cfg, key="dense_intermediate_size")
    note_mtp(cfg, "num_mtp_modules")
    dense = dense_layers(cfg, count)
    layers = [
        (sparse if pick else full, flat if plain_mlp else moe)
        for pick, plain_mlp in zip(picked, dense, strict=False)
    ]
    return frame(cfg, layers)


for _type in ("minimax_m3", "minimax_m3_vl", "minimax_m3_sparse"):
    register("model_reader", _type)(read_minimax_m3)
