"""Older decoders with plain feed-forwards: GPT-2, GPT-J, GPT-NeoX, OPT, BLOOM, Falcon, Phi-2."""

from __future__ import annotations

from hetsim.model._config import Config
from hetsim.model._types import Attention, Mlp, Model
from hetsim.model.readers._common import frame, gqa
from hetsim.spec import register

__all__: list[str] = []


def _hidden(cfg: Config) -> int:
    return cfg.count("hidden_size", "n_embd", "n_embed")


def _plain(inter: int, *, bias: bool = True) -> Mlp:
    return Mlp(kind="dense", inter=inter, gated=False, bias=bias)


@register("model_reader", "gpt2")
@register("model_reader", "gpt_bigcode")
def read_gpt2(cfg: Config) -> Model:
    """Return a GPT-2 or StarCoder: learned positions, biases everywhere, tied head."""
    hidden, heads = _hidden(cfg), cfg.count("n_head", "num_attention_heads")
    kv_heads = 1 if cfg.flag("multi_query") else heads
    cfg.divides("n_head", heads, "n_embd", hidden)
    att = Attention(
        kind="gqa", heads=heads, kv_heads=kv_heads, head_dim=max(1, hidden // heads),
        bias=True, out_bias=True,
    )  # fmt: skip
    mlp = _plain(cfg.count("n_inter", "n_inner", default=4 * hidden))
    positions = cfg.count("n_positions", "n_ctx")
    layers = [(att, mlp)] * cfg.layers("n_layer", "num_hidden_layers")
    return frame(
        cfg, layers, norms=4, tied=True, position_embeddings=positions, extra_params=hidden
    )


@register("model_reader", "gptj")
def read_gptj(cfg: Config) -> Model:
    """Return a GPT-J: attention and feed-forward side by side under one norm; a biased head."""
    hidden, heads = _hidden(cfg), cfg.count("n_head")
    cfg.divides("n_head", heads, "n_embd", hidden)
    att = Attention(kind="gqa", heads=heads, kv_heads=heads, head_dim=max(1, hidden // heads))
    mlp = _plain(cfg.count("n_inner", default=4 * hidden))
    extra = hidden + cfg.count("vocab_size")
    return frame(cfg, [(att, mlp)] * cfg.layers("n_layer"), extra_params=extra)


@register("model_reader", "gpt_neox")
@register("model_reader", "phi")
def read_neox(cfg: Config) -> Model:
    """Return a GPT-NeoX or Phi-2: biases everywhere, no gate in the feed-forward."""
    att = gqa(cfg, bias=True, out_bias=True)
    layers = [(att, _plain(cfg.count("intermediate_size")))] * cfg.layers()
    norms = 2 if cfg.word("model_type") == "phi" else 4
    return frame(cfg, layers, norms=norms, extra_params=cfg.count("hidden_size"))


@register("model_reader", "opt")
def read_opt(cfg: Config) -> Model:
    """Return an OPT: learned positions (two spare ones), biases everywhere, tied head."""
    hidden = cfg.count("hidden_size")
    narrow = cfg.count("word_embed_proj_dim", default=hidden)
    if narrow != hidden:
        cfg.problem("word_embed_proj_dim", f"is {narrow}; only {hidden} (hidden_size) is modelled")
    att = gqa(cfg, bias=True, out_bias=True)
    positions = cfg.count("max_position_embeddings") + 2
    layers = [(att, _plain(cfg.count("ffn_dim")))] * cfg.layers()
    return frame(
        cfg, layers, norms=4, tied=True, position_embeddings=positions, extra_params=hidden
    )


@register("model_reader", "bloom")
def read_bloom(cfg: Config) -> Model:
    """Return a BLOOM: no positions (ALiBi), a norm after the embedding, tied head."""
    hidden, heads = _hidden(cfg), cfg.count("n_head", "num_attention_heads")
    cfg.divides("n_head", heads, "hidden_size", hidden)
    att = Attention(
        kind="gqa", heads=heads, kv_heads=heads, head_dim=max(1, hidden // heads),
        bias=True, out_bias=True,
    )  # fmt: skip
    layers = [(att, _plain(4 * hidden))] * cfg.layers("n_layer", "num_hidden_layers")
    # The embedding's norm (scale and shift) and the shift of the final norm.
    return frame(cfg, layers, norms=4, tied=True, hidden=hidden, extra_params=3 * hidden)


@register("model_reader", "falcon")
@register("model_reader", "RefinedWeb")
def read_falcon(cfg: Config) -> Model:
    """Return a Falcon: MQA in the old decoder, GQA in the new one."""
    hidden, heads = _hidden(cfg), cfg.count("num_attention_heads", "n_head")
    new = cfg.flag("new_decoder_architecture")
    kv_heads = 1 if cfg.flag("multi_query", True) else heads
    if new:
        kv_heads = cfg.count("num_kv_heads", "n_head_kv", default=heads)
    cfg.divides("num_attention_heads", heads, "hidden_size", hidden)
    cfg.divides("num_kv_heads", kv_heads, "num_attention_heads", heads)
    bias = cfg.flag("bias")
    att = Attention(
        kind="gqa", heads=heads, kv_heads=kv_heads, head_dim=max(1, hidden // heads),
        bias=bias, out_bias=bias,
    )  # fmt: skip
    mlp = _plain(cfg.count("ffn_hidden_size", default=4 * hidden), bias=bias)
    layers = [(att, mlp)] * cfg.layers("num_hidden_layers", "n_layer")
    return frame(cfg, layers, norms=4 if new else 2, tied=True, extra_params=hidden)


@register("model_reader", "qwen")
def read_qwen1(cfg: Config) -> Model:
    """Return a first-generation Qwen: MHA; ``intermediate_size`` counts gate and up together."""
    att = gqa(cfg, bias=True)
    mlp = Mlp(kind="dense", inter=max(1, cfg.count("intermediate_size") // 2))
    return frame(cfg, [(att, mlp)] * cfg.layers())
