"""Smaller families: StarCoder 2, Nemotron 4, ChatGLM, DBRX, OLMoE, Phi-3.5 MoE, DeepSeekMoE."""

from __future__ import annotations

from dataclasses import replace

from hetsim.model._config import Config
from hetsim.model._types import Attention, Mlp, Model
from hetsim.model.readers._common import (
    dense_layers,
    dense_mlp,
    frame,
    gqa,
    sliding,
    window_of,
)
from hetsim.model.readers.moe import routed
from hetsim.spec import register

__all__: list[str] = []


@register("model_reader", "starcoder2")
@register("model_reader", "nemotron")
def read_ungated(cfg: Config) -> Model:
    """Return a decoder whose feed-forward has no gate: StarCoder 2 (biased), Nemotron 4."""
    bias = cfg.flag("use_bias", cfg.word("model_type") == "starcoder2")
    att = gqa(cfg, bias=bias, out_bias=bias, window=window_of(cfg))
    mlp = replace(dense_mlp(cfg, gated=False), bias=bias)
    tied = cfg.word("model_type") == "starcoder2"
    return frame(cfg, [(att, mlp)] * cfg.layers(), norms=4, tied=tied)


@register("model_reader", "chatglm")
def read_chatglm(cfg: Config) -> Model:
    """Return a ChatGLM 2 to GLM-4-9B, which has its own key names."""
    heads = cfg.count("num_attention_heads")
    grouped = cfg.flag("multi_query_attention")
    kv_heads = cfg.count("multi_query_group_num") if grouped else heads
    cfg.divides("multi_query_group_num", kv_heads, "num_attention_heads", heads)
    att = Attention(
        kind="gqa", heads=heads, kv_heads=kv_heads, head_dim=cfg.count("kv_channels"),
        bias=cfg.flag("add_qkv_bias"),
    )  # fmt: skip
    mlp = Mlp(kind="dense", inter=cfg.count("ffn_hidden_size"))
    cfg.state("vocab_size", cfg.count("padded_vocab_size", "vocab_size"))
    return frame(cfg, [(att, mlp)] * cfg.layers("num_layers"))


@register("model_reader", "dbrx")
def read_dbrx(cfg: Config) -> Model:
    """Return a DBRX: sizes of attention and experts in sections of their own."""
    heads = cfg.count("n_heads")
    kv_heads = cfg.section("attn_config").count("kv_n_heads")
    cfg.divides("kv_n_heads", kv_heads, "n_heads", heads)
    width = cfg.count("d_model")
    cfg.divides("n_heads", heads, "d_model", width)
    att = Attention(kind="gqa", heads=heads, kv_heads=kv_heads, head_dim=max(1, width // heads))
    part = cfg.section("ffn_config")
    moe = routed(part, part.count("ffn_hidden_size"))
    return frame(cfg, [(att, moe)] * cfg.layers("n_layers"))


@register("model_reader", "olmoe")
@register("model_reader", "phimoe")
@register("model_reader", "granitemoe")
def read_plain_moe(cfg: Config) -> Model:
    """Return a decoder with every layer routed and experts as wide as ``intermediate_size``."""
    plain = gqa(cfg)
    norm = (plain.heads + plain.kv_heads) * plain.head_dim
    att = replace(plain, extra_params=norm if cfg.word("model_type") == "olmoe" else 0)
    tied = cfg.word("model_type") == "granitemoe"
    return frame(
        cfg, [(att, routed(cfg, cfg.count("intermediate_size")))] * cfg.layers(), tied=tied
    )


@register("model_reader", "deepseek")
@register("model_reader", "dots1")
@register("model_reader", "bailing_moe")
def read_shared_moe(cfg: Config) -> Model:
    """Return a decoder with plain attention, leading dense layers and shared experts."""
    plain = gqa(cfg)
    att = replace(
        plain, extra_params=2 * plain.head_dim if cfg.word("model_type") == "dots1" else 0
    )
    inter = cfg.count("moe_intermediate_size")
    shared = cfg.count("n_shared_experts", "num_shared_experts", default=0, low=0)
    moe = routed(cfg, inter, shared_inter=shared * inter)
    dense = dense_layers(cfg, cfg.layers())
    return frame(cfg, [(att, dense_mlp(cfg) if flat else moe) for flat in dense])


@register("model_reader", "cohere2")
@register("model_reader", "exaone4")
def read_interleaved(cfg: Config) -> Model:
    """Return a dense decoder with windows on three layers of four: Command R7B, EXAONE 4."""
    full = gqa(cfg)
    local = replace(full, window=window_of(cfg))
    pattern = 4
    if isinstance(cfg.raw("sliding_window_pattern"), int):
        pattern = cfg.count("sliding_window_pattern")
    layers = [
        (local if near else full, dense_mlp(cfg)) for near in sliding(cfg, cfg.layers(), pattern)
    ]
    tied = cfg.word("model_type") == "cohere2"
    return frame(cfg, layers, tied=tied)
