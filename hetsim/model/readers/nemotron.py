"""NVIDIA's hybrids: Nemotron-H and Nemotron 3 (Mamba 2), and pruned Llamas (Nemotron NAS)."""

from __future__ import annotations

from typing import Any

from hetsim.model._config import Config, shown
from hetsim.model._types import Attention, Mlp, Model
from hetsim.model.readers._common import (
    NO_ATTENTION,
    NO_MLP,
    dense_mlp,
    frame,
    gqa,
    refuse,
)
from hetsim.model.readers.moe import routed
from hetsim.spec import register

__all__ = ["mamba2"]

_MAMBA_FLOP = 5.0
"""Per state element and token: decay 1, rank-one update 2, read 2."""

_LETTERS = {"M": "mamba", "*": "attention", "E": "moe", "-": "mlp"}


def mamba2(cfg: Config) -> Attention:
    """Return a Mamba 2 layer: gate, input, B, C and steps in one projection, then convolved."""
    heads = cfg.count("mamba_num_heads", "mamba_n_heads")
    dim = cfg.count("mamba_head_dim", "mamba_d_head")
    state = cfg.count("ssm_state_size", "mamba_d_state")
    groups = cfg.count("n_groups", "mamba_n_groups")
    kernel = cfg.count("conv_kernel", "mamba_d_conv")
    inner = heads * dim
    mixed = inner + 2 * groups * state
    half = cfg.word("mamba_ssm_cache_dtype", "float32") in ("bfloat16", "float16")
    return Attention(
        kind="linear",
        heads=heads,
        kv_heads=groups,
        head_dim=state,
        v_head_dim=dim,
        in_features=inner + mixed + heads,
        state_elements=inner * state,
        state_bytes_per_element=2.0 if half else 4.0,
        state_flop_per_element=_MAMBA_FLOP,
        conv_state_elements=mixed * (kernel - 1),
        extra_params=mixed * (kernel + 1) + 3 * heads + inner,
    )


def _pattern(cfg: Config) -> list[str]:
    """Return the kind of each layer, from letters or from words."""
    if "layers_block_type" in cfg:
        kinds = cfg.words("layers_block_type")
    else:
        letters = cfg.word("hybrid_override_pattern")
        kinds = [_LETTERS.get(letter, letter) for letter in letters]
    strange = [kind for kind in kinds if kind not in _LETTERS.values()]
    if strange:
        refuse(cfg, "hybrid_override_pattern", repr(strange[0]))
    if not 1 <= len(kinds) <= 10_000:
        cfg.problem("hybrid_override_pattern", "is missing; it must name the kind of each layer")
    return kinds[:10_000]


def _experts(cfg: Config) -> Mlp:
    shared = cfg.count("moe_shared_expert_intermediate_size", default=0, low=0)
    shared *= cfg.count("n_shared_experts", default=1, low=0)
    inter = cfg.count("moe_intermediate_size")
    latent = cfg.count("moe_latent_size", default=0, low=0)
    return routed(cfg, inter, gated=False, shared_inter=shared, router_bias=True, latent=latent)


@register("model_reader", "nemotron_h")
def read_nemotron_h(cfg: Config) -> Model:
    """Return a Nemotron-H: each layer is one mixer (state, attention, experts or feed-forward)."""
    kinds = _pattern(cfg)
    makers: dict[str, Any] = {
        "mamba": lambda: (mamba2(cfg), NO_MLP),
        "attention": lambda: (_attention(cfg), NO_MLP),
        "moe": lambda: (NO_ATTENTION, _experts(cfg)),
        "mlp": lambda: (NO_ATTENTION, dense_mlp(cfg, gated=False)),
    }
    made = {kind: makers[kind]() for kind in dict.fromkeys(kinds)}
    if "num_nextn_predict_layers" in cfg:
        cfg.note("multi-token-prediction layers are not modelled")
    return frame(cfg, [made[kind] for kind in kinds], norms=1)


def _attention(cfg: Config) -> Attention:
    if "head_dim" in cfg or "attention_head_dim" not in cfg:
        return gqa(cfg)
    return gqa(cfg, head_dim=cfg.count("attention_head_dim"))


@register("model_reader", "nemotron-nas")
@register("model_reader", "deci")
def read_nemotron_nas(cfg: Config) -> Model:
    """Return a pruned Llama: each block states its KV groups and its feed-forward width."""
    blocks = cfg.raw("block_configs")
    count = cfg.layers()
    if not isinstance(blocks, list) or len(blocks) < count:
        cfg.problem("block_configs", f"must be a list of {count} blocks, not {shown(blocks)}")
        cfg.finish()
        raise AssertionError("unreachable")
    layers = []
    for i in range(count):
        block = Config({"block": blocks[i]}, cfg.file, cfg.text).section("block")
        layers.append((_block_attention(cfg, block), _block_mlp(cfg, block)))
        block.finish()
    return frame(cfg, layers)


def _block_attention(cfg: Config, block: Config) -> Attention:
    part = block.section("attention")
    if part.flag("no_op"):
        return NO_ATTENTION
    if part.flag("replace_with_linear"):
        refuse(cfg, "block_configs", "attention replaced by a linear layer")
    heads, per_group = cfg.count("num_attention_heads"), part.count("n_heads_in_group")
    part.divides("n_heads_in_group", per_group, "num_attention_heads", heads)
    window = part.count("window_length") if "window_length" in part else None
    plain = gqa(Config({"num_attention_heads": heads, "hidden_size": cfg.count("hidden_size")}))
    return Attention(
        kind="gqa", heads=heads, kv_heads=max(1, heads // per_group),
        head_dim=plain.head_dim, window=window,
    )  # fmt: skip


def _block_mlp(cfg: Config, block: Config) -> Mlp:
    part = block.section("ffn")
    if part.flag("no_op"):
        return NO_MLP
    if part.flag("replace_with_linear"):
        refuse(cfg, "block_configs", "feed-forward replaced by a linear layer")
    if "intermediate_size" in part:
        return Mlp(kind="dense", inter=part.count("intermediate_size"))
    factor = part.raw("ffn_mult")
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < 1e3:
        part.problem("ffn_mult", f"must be a positive number, not {shown(factor)}")
        return NO_MLP
    # Two thirds of the multiple (three matrices instead of two), rounded up to 256.
    width = int(2 * factor * cfg.count("hidden_size") / 3)
    return Mlp(kind="dense", inter=-(-width // 256) * 256)
