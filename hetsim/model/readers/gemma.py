"""Gemma 1 to 4: wide heads and windows; the small ones share KV and embed per layer."""

from __future__ import annotations

from dataclasses import replace

from hetsim.model._config import Config
from hetsim.model._types import Attention, Mlp, Model
from hetsim.model.readers._common import dense_mlp, frame, gqa, sliding, window_of
from hetsim.model.readers.moe import routed
from hetsim.spec import register

__all__: list[str] = []


@register("model_reader", "gemma")
def read_gemma(cfg: Config) -> Model:
    """Return a Gemma 1: every layer reads everything."""
    return frame(cfg, [(gqa(cfg), dense_mlp(cfg))] * cfg.layers(), tied=True)


@register("model_reader", "gemma2")
@register("model_reader", "gemma3")
@register("model_reader", "gemma3_text")
def read_gemma_windows(cfg: Config) -> Model:
    """Return a Gemma 2 or 3: a window on all but every second or sixth layer, four norms."""
    second = cfg.word("model_type") == "gemma2"
    pattern = cfg.count(
        "sliding_window_pattern", "_sliding_window_pattern", default=2 if second else 6
    )
    plain = gqa(cfg)
    full = plain if second else replace(plain, extra_params=2 * plain.head_dim)
    local = replace(full, window=window_of(cfg))
    mlp = dense_mlp(cfg)
    near = sliding(cfg, cfg.layers(), pattern)
    return frame(cfg, [(local if n else full, mlp) for n in near], norms=4, tied=True)


def _global_attention(cfg: Config, local: Attention) -> Attention:
    head_dim = cfg.count("global_head_dim", default=local.head_dim)
    kv_heads = cfg.count("num_global_key_value_heads", default=local.kv_heads)
    cfg.divides("num_global_key_value_heads", kv_heads, "num_attention_heads", local.heads)
    return replace(
        local,
        window=None,
        head_dim=head_dim,
        kv_heads=kv_heads,
        value_is_key=cfg.flag("attention_k_eq_v"),
        extra_params=2 * head_dim,
    )


def _mlp(cfg: Config, wide: bool) -> Mlp:
    """Return the feed-forward; where experts run beside a dense one, that one is shared."""
    flat = dense_mlp(cfg)
    if wide:
        flat = replace(flat, inter=2 * flat.inter)
    if not cfg.flag("enable_moe_block"):
        return flat
    made = routed(cfg, cfg.count("moe_intermediate_size", "expert_intermediate_size"))
    return replace(made, shared_inter=flat.inter)


@register("model_reader", "gemma4")
@register("model_reader", "gemma4_text")
def read_gemma4(cfg: Config) -> Model:
    """Return a Gemma 4.

    Global layers have wider heads and may use keys as values; the last ``num_kv_shared_layers``
    read the KV of earlier ones; small models add one embedding row per layer and token.
    """
    count, plain = cfg.layers(), gqa(cfg)
    local = replace(plain, window=window_of(cfg), extra_params=2 * plain.head_dim)
    full = _global_attention(cfg, local)
    pattern = cfg.count("sliding_window_pattern", default=6)
    shared_from = count - cfg.count("num_kv_shared_layers", default=0, low=0)
    double = cfg.flag("use_double_wide_mlp")
    layers = []
    for i, near in enumerate(sliding(cfg, count, pattern)):
        late = i >= shared_from
        att = replace(local if near else full, shared_kv=late)
        layers.append((att, _mlp(cfg, double and late)))
    extra, lookup = _per_layer_embeddings(cfg, count)
    return frame(cfg, layers, norms=4, tied=True, extra_params=extra, lookup_params=lookup)


def _per_layer_embeddings(cfg: Config, count: int) -> tuple[int, int]:
    """Return the parameters of per-layer inputs: projections, and tables that are looked up."""
    width = cfg.count("hidden_size_per_layer_input", default=0, low=0)
    if not width:
        return 0, 0
    hidden, vocab = cfg.count("hidden_size"), cfg.count("vocab_size_per_layer_input", "vocab_size")
    per_layer = 2 * hidden * width + hidden  # gate in, projection out, a norm
    cfg.note("per-layer embeddings count as tables: their rows are read, not their whole")
    return count * (per_layer + hidden * width) + width, vocab * count * width
