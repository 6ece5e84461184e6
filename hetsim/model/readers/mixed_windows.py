"""Routed decoders whose windowed layers have heads of their own: MiMo V2, Step 3.5, ERNIE 4.5."""

from __future__ import annotations

from dataclasses import replace

from hetsim.model._config import Config
from hetsim.model._types import Attention, Model
from hetsim.model.readers._common import dense_layers, dense_mlp, frame, gqa, sliding, window_of
from hetsim.model.readers.moe import note_mtp, routed
from hetsim.spec import register

__all__: list[str] = []


@register("model_reader", "mimo_v2_flash")
def read_mimo_v2(cfg: Config) -> Model:
    """Return a MiMo V2: narrow windows with sinks and more KV heads, keys wider than values."""
    count = cfg.layers()
    full = gqa(cfg, v_head_dim=cfg.count("v_head_dim"))
    heads = cfg.count("swa_num_attention_heads", default=full.heads)
    kv_heads = cfg.count("swa_num_key_value_heads", default=full.kv_heads)
    cfg.divides("swa_num_key_value_heads", kv_heads, "swa_num_attention_heads", heads)
    local = replace(
        full,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=cfg.count("swa_head_dim", default=full.head_dim),
        v_head_dim=cfg.count("swa_v_head_dim", default=full.v_head_dim),
        window=window_of(cfg),
        extra_params=heads if cfg.flag("add_swa_attention_sink_bias") else 0,
    )
    near = _near(cfg, count)
    moe = routed(cfg, cfg.count("moe_intermediate_size"), router_bias=True)
    dense = dense_layers(cfg, count)
    layers = [
        (local if n else full, dense_mlp(cfg) if flat else moe)
        for n, flat in zip(near, dense, strict=False)
    ]
    return frame(cfg, layers)


def _near(cfg: Config, count: int) -> list[bool]:
    if "hybrid_layer_pattern" in cfg:
        return [bool(item) for item in cfg.integers("hybrid_layer_pattern", count)]
    every = cfg.count("hybrid_block_size", default=6)
    return [i > 0 and (i + 1) % every != 0 for i in range(count)]


def _step_attention(cfg: Config) -> tuple[Attention, Attention]:
    """Return global and windowed attention of a Step 3.5; one gate a head, head norms."""
    heads = cfg.count("num_attention_heads")
    kv_heads = cfg.count("num_attention_groups", "num_key_value_heads")
    cfg.divides("num_attention_groups", kv_heads, "num_attention_heads", heads)
    head_dim = cfg.count("head_dim")
    hidden = cfg.count("hidden_size")
    gates = hidden if cfg.flag("use_head_wise_attn_gate", True) else 0
    full = Attention(
        kind="gqa", heads=heads, kv_heads=kv_heads, head_dim=head_dim,
        extra_params=2 * head_dim + gates * heads,
    )  # fmt: skip
    near_heads, near_groups = heads, kv_heads
    if "attention_other_setting" in cfg:
        other = cfg.section("attention_other_setting")
        near_heads = other.count("num_attention_heads")
        near_groups = other.count("num_attention_groups")
        other.divides("num_attention_groups", near_groups, "num_attention_heads", near_heads)
    elif "num_sliding_attention_heads" in cfg:
        near_heads = cfg.count("num_sliding_attention_heads")
        cfg.divides("num_attention_groups", kv_heads, "num_sliding_attention_heads", near_heads)
    near = replace(
        full, heads=near_heads, kv_heads=near_groups, window=window_of(cfg),
        extra_params=2 * head_dim + gates * near_heads,
    )  # fmt: skip
    return full, near


def read_step(cfg: Config) -> Model:
    """Return a Step 3.5 or 3.7: one global layer in four, leading dense layers, a shared expert."""
    count = cfg.layers()
    full, near = _step_attention(cfg)
    moe = routed(
        cfg,
        cfg.count("moe_intermediate_size"),
        shared_inter=cfg.count("share_expert_dim", default=0, low=0),
        router_bias=cfg.flag("use_moe_router_bias", True),
    )
    first = cfg.count("first_k_dense_replace", "moe_layer_start", default=3, low=0)
    note_mtp(cfg, "num_nextn_predict_layers")
    stated = "layer_types" in cfg
    local = sliding(cfg, count) if stated else [i % 4 != 0 for i in range(count)]
    layers = [
        (near if n else full, dense_mlp(cfg) if i < first else moe) for i, n in enumerate(local)
    ]
    return frame(cfg, layers)


for _type in ("step3p5", "step3p7", "step3p7_flash"):
    register("model_reader", _type)(read_step)


@register("model_reader", "ernie4_5")
@register("model_reader", "ernie4_5_moe")
def read_ernie(cfg: Config) -> Model:
    """Return an ERNIE 4.5: dense layers up to ``moe_layer_start_index``, then routed ones."""
    count = cfg.layers()
    bias = cfg.flag("use_bias")
    att = gqa(cfg, bias=bias, out_bias=bias)
    if not any(key in cfg for key in ("moe_num_experts", "num_experts")):
        return frame(cfg, [(att, dense_mlp(cfg))] * count, tied=True)
    inter = cfg.count("moe_intermediate_size")
    shared = cfg.count("moe_num_shared_experts", default=0, low=0) * inter
    moe = routed(cfg, inter, shared_inter=shared, router_bias=True)
    first = cfg.count("moe_layer_start_index", default=0, low=0)
    last = cfg.count("moe_layer_end_index", default=count - 1, low=0)
    every = cfg.count("moe_layer_interval", default=1)
    layers = []
    for i in range(count):
        is_moe = first <= i <= last and (i + 1) % every == 0
        layers.append((att, moe if is_moe else dense_mlp(cfg)))
    return frame(cfg, layers, tied=True)
