"""Kimi Delta Attention beside latent attention: Kimi Linear, Kimi K3."""

from __future__ import annotations

from hetsim.model._config import Config
from hetsim.model._types import Attention, Mlp, Model
from hetsim.model.readers._common import dense_layers, dense_mlp, frame
from hetsim.model.readers.deepseek import mla
from hetsim.spec import register

__all__: list[str] = []

_KDA_FLOP = 7.0
"""Per state element and token: decay 1, S k 2, rank-one update 2, S q 2."""


def _kda(linear: Config) -> Attention:
    """Return a KDA layer: q, k, v, a rate per head, low-rank decay and gate, short convolutions."""
    heads, dim = linear.count("num_heads"), linear.count("head_dim")
    kernel = linear.count("short_conv_kernel_size")
    wide = heads * dim
    full_gate = linear.flag("use_full_rank_gate")
    gate = wide if full_gate else dim
    low_rank = dim * wide * (1 if full_gate else 2)
    return Attention(
        kind="linear",
        heads=heads,
        kv_heads=heads,
        head_dim=dim,
        v_head_dim=dim,
        in_features=3 * wide + heads + dim + gate,
        state_elements=heads * dim * dim,
        state_flop_per_element=_KDA_FLOP,
        conv_state_elements=3 * wide * (kernel - 1),
        extra_params=low_rank + 3 * wide * kernel + heads + wide + dim,
    )


def _experts(cfg: Config) -> Mlp:
    inter = cfg.count("moe_intermediate_size")
    experts = cfg.count("num_experts")
    top_k = cfg.count("num_experts_per_token", "num_experts_per_tok")
    if top_k > experts:
        cfg.problem("num_experts_per_token", f"is {top_k}, more than the {experts} experts")
    return Mlp(
        kind="moe",
        inter=inter,
        experts=experts,
        top_k=min(top_k, experts),
        shared_inter=cfg.count("num_shared_experts", default=0, low=0) * inter,
        router_bias=True,
        latent=cfg.count("routed_expert_hidden_size", default=0, low=0),
    )


@register("model_reader", "kimi_linear")
def read_kimi_linear(cfg: Config) -> Model:
    """Return a model whose ``kda_layers`` (from 1) keep a state and whose others are latent."""
    linear = cfg.section("linear_attn_config")
    count = cfg.layers()
    states = set(linear.integers("kda_layers"))
    if any(not 1 <= i <= count for i in states):
        linear.problem("kda_layers", f"must name layers from 1 to {count}")
    latent = mla(cfg, gated=cfg.flag("mla_use_output_gate"))
    kda, moe = _kda(linear), _experts(cfg)
    layers = [
        (kda if i + 1 in states else latent, dense_mlp(cfg) if flat else moe)
        for i, flat in enumerate(dense_layers(cfg, count))
    ]
    return frame(cfg, layers)
