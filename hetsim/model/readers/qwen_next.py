"""Gated delta net beside gated attention: Qwen3-Next, Qwen3.5, Qwen3.6."""

from __future__ import annotations

from hetsim.model._config import Config
from hetsim.model._types import Attention, Mlp, Model
from hetsim.model.readers._common import dense_mlp, frame, gqa, refuse
from hetsim.model.readers.moe import routed
from hetsim.spec import register

__all__: list[str] = []

_DELTA_FLOP = 7.0
"""Per state element and token: decay 1, S k 2, rank-one update 2, S q 2."""


def _delta_net(cfg: Config) -> Attention:
    """Return a gated delta net: queries and keys per key head, values, gate, decay and rate."""
    key_heads, value_heads = cfg.count("linear_num_key_heads"), cfg.count("linear_num_value_heads")
    key_dim, value_dim = cfg.count("linear_key_head_dim"), cfg.count("linear_value_head_dim")
    kernel = cfg.count("linear_conv_kernel_dim")
    cfg.divides("linear_num_key_heads", key_heads, "linear_num_value_heads", value_heads)
    keys, values = key_heads * key_dim, value_heads * value_dim
    mixed = 2 * keys + values
    return Attention(
        kind="linear",
        heads=value_heads,
        kv_heads=key_heads,
        head_dim=key_dim,
        v_head_dim=value_dim,
        in_features=mixed + values + 2 * value_heads,
        state_elements=value_heads * key_dim * value_dim,
        state_bytes_per_element=_state_bytes(cfg),
        state_flop_per_element=_DELTA_FLOP,
        conv_state_elements=mixed * (kernel - 1),
        extra_params=mixed * kernel + 2 * value_heads + value_dim,
    )


def _state_bytes(cfg: Config) -> float:
    return 2.0 if cfg.word("mamba_ssm_dtype", "float32") in ("bfloat16", "float16") else 4.0


def _linear(cfg: Config, count: int) -> list[bool]:
    if "layer_types" not in cfg:
        every = cfg.count("full_attention_interval", default=4)
        return [(i + 1) % every != 0 for i in range(count)]
    kinds = cfg.words("layer_types", count)
    strange = [kind for kind in kinds if kind not in ("linear_attention", "full_attention")]
    if strange:
        refuse(cfg, "layer_types", repr(strange[0]))
    return [kind == "linear_attention" for kind in kinds] or [False] * count


def _mlp(cfg: Config) -> Mlp:
    if not any(key in cfg for key in ("num_experts", "moe_intermediate_size")):
        return dense_mlp(cfg)
    shared = cfg.count("shared_expert_intermediate_size", default=0, low=0)
    inter = cfg.count("moe_intermediate_size")
    return routed(cfg, inter, shared_inter=shared, shared_gate=shared > 0)


def read_qwen_next(cfg: Config) -> Model:
    """Return a model in which one layer in four attends and the others keep a state."""
    plain = gqa(cfg)
    full = gqa(cfg, gated=cfg.flag("attn_output_gate", True), extra_params=2 * plain.head_dim)
    delta, mlp = _delta_net(cfg), _mlp(cfg)
    if "mtp_num_hidden_layers" in cfg:
        cfg.note("multi-token-prediction layers are not modelled")
    linear = _linear(cfg, cfg.layers())
    return frame(cfg, [(delta if flat else full, mlp) for flat in linear])


for _type in (
    "qwen3_next", "qwen3_5", "qwen3_5_moe", "qwen3_5_text", "qwen3_5_moe_text",
):  # fmt: skip
    register("model_reader", _type)(read_qwen_next)
