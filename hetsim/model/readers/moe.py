"""Decoders with GQA and routed experts: Mixtral, Qwen 2 and 3 MoE, gpt-oss, MiniMax M2, GLM-4.5."""

from __future__ import annotations

from dataclasses import replace

from hetsim.model._config import Config
from hetsim.model._types import Attention, Mlp, Model
from hetsim.model.readers._common import dense_layers, dense_mlp, frame, gqa, sliding, window_of
from hetsim.model.readers.llama import qwen_window
from hetsim.spec import register

__all__ = ["routed"]


def routed(cfg: Config, inter: int, **more: object) -> Mlp:
    """Return the routed experts that ``cfg`` states, each ``inter`` wide."""
    key = next(
        (
            k
            for k in ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
            if k in cfg
        ),
        "num_experts",
    )
    experts = cfg.count(key)
    top_k = cfg.count(
        "num_experts_per_tok", "experts_per_token", "top_k_experts", "moe_k", "moe_top_k"
    )
    if top_k > experts:
        cfg.problem("num_experts_per_tok", f"is {top_k}, more than the {experts} experts")
    made: dict[str, object] = {
        "kind": "moe", "inter": inter, "experts": experts, "top_k": min(top_k, experts)
    }  # fmt: skip
    made |= _groups(cfg, experts, min(top_k, experts))
    return Mlp(**{**made, **more})  # type: ignore[arg-type]


def _groups(cfg: Config, experts: int, top_k: int) -> dict[str, int]:
    """Return the limit on groups of experts that DeepSeek V2 and its kin put on a token."""
    groups = cfg.count("n_group", default=1, low=0)
    if groups <= 1 or cfg.word("topk_method") == "greedy":
        return {}
    cfg.divides("n_group", groups, "n_routed_experts", experts)
    chosen = cfg.count("topk_group", default=groups)
    if chosen > groups:
        cfg.problem("topk_group", f"is {chosen}, more than the {groups} groups")
    elif chosen * experts < top_k * groups:
        cfg.problem("topk_group", f"is {chosen}: so few groups have no {top_k} experts")
    return {"groups": groups, "top_groups": min(chosen, groups)}


@register("model_reader", "mixtral")
def read_mixtral(cfg: Config) -> Model:
    """Return a Mixtral: every layer routed, experts as wide as ``intermediate_size``."""
    att = gqa(cfg, window=window_of(cfg))
    return frame(cfg, [(att, routed(cfg, cfg.count("intermediate_size")))] * cfg.layers())


@register("model_reader", "qwen3_moe")
@register("model_reader", "qwen3_vl_moe")
@register("model_reader", "qwen2_moe")
def read_qwen_moe(cfg: Config) -> Model:
    """Return a Qwen MoE; Qwen 2 has a gated shared expert, Qwen 3 none."""
    old = cfg.word("model_type") == "qwen2_moe"
    plain = gqa(cfg)
    more = {"bias": True} if old else {"extra_params": 2 * plain.head_dim}
    att = gqa(cfg, out_bias=False, window=qwen_window(cfg), **more)
    shared = cfg.count("shared_expert_intermediate_size", default=0, low=0)
    moe = routed(
        cfg, cfg.count("moe_intermediate_size"), shared_inter=shared, shared_gate=shared > 0
    )
    count = cfg.layers()
    dense = dense_layers(cfg, count)
    return frame(cfg, [(att, dense_mlp(cfg) if flat else moe) for flat in dense])


@register("model_reader", "gpt_oss")
def read_gpt_oss(cfg: Config) -> Model:
    """Return a gpt-oss: windows on every other layer, biases everywhere, a sink a head."""
    full = gqa(cfg, extra_params=cfg.count("num_attention_heads"))
    local = replace(full, window=window_of(cfg))
    moe = routed(cfg, cfg.count("intermediate_size"), bias=True, router_bias=True)
    layers = [(local if near else full, moe) for near in sliding(cfg, cfg.layers(), pattern=2)]
    return frame(cfg, layers)


@register("model_reader", "minimax_m2")
def read_minimax_m2(cfg: Config) -> Model:
    """Return a MiniMax M2: GQA with norms over all heads' width, every layer routed."""
    plain = gqa(cfg)
    norm = (plain.heads + plain.kv_heads) * plain.head_dim if cfg.flag("use_qk_norm") else 0
    moe = routed(cfg, cfg.count("intermediate_size"), router_bias=cfg.flag("use_routing_bias"))
    note_mtp(cfg, "num_mtp_modules")
    return frame(cfg, [(replace(plain, extra_params=norm), moe)] * cfg.layers())


@register("model_reader", "glm4_moe")
def read_glm4_moe(cfg: Config) -> Model:
    """Return a GLM-4.5 to 4.7: leading dense layers, shared experts, biased projections."""
    plain = gqa(cfg, out_bias=False)
    att: Attention = replace(
        plain, extra_params=2 * plain.head_dim if cfg.flag("use_qk_norm") else 0
    )
    inter = cfg.count("moe_intermediate_size")
    shared = cfg.count("n_shared_experts", default=0, low=0) * inter
    moe = routed(cfg, inter, shared_inter=shared, router_bias=True)
    note_mtp(cfg, "num_nextn_predict_layers")
    dense = dense_layers(cfg, cfg.layers())
    return frame(cfg, [(att, dense_mlp(cfg) if flat else moe) for flat in dense])


def note_mtp(cfg: Config, key: str) -> None:
    """Note that layers for multi-token prediction are left out."""
    if cfg.count(key, default=0, low=0):
        cfg.note("multi-token-prediction layers are not modelled")
