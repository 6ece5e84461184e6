"""What most readers share: the frame of a model, plain GQA attention, dense and routed MLPs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hetsim.model._config import Config
from hetsim.model._types import Attention, LayerGroup, Mlp, Model

__all__ = [
    "NO_ATTENTION",
    "NO_MLP",
    "dense_layers",
    "dense_mlp",
    "frame",
    "gqa",
    "group",
    "refuse",
    "sliding",
    "weight_format",
    "window_of",
]

NO_ATTENTION = Attention(kind="none")
NO_MLP = Mlp(kind="none")


def group(layers: Iterable[tuple[Attention, Mlp]]) -> tuple[LayerGroup, ...]:
    """Return equal layers counted together, in the order of their first appearance."""
    counts: dict[tuple[Attention, Mlp], int] = {}
    for layer in layers:
        counts[layer] = counts.get(layer, 0) + 1
    return tuple(LayerGroup(count=n, attention=att, mlp=mlp) for (att, mlp), n in counts.items())


def refuse(cfg: Config, key: str, what: str) -> None:
    """Refuse a layer kind by name."""
    cfg.problem(key, f"{what} is a layer kind that hetsim does not model; choose another model")
    cfg.finish()


def gqa(cfg: Config, **more: Any) -> Attention:
    """Return the grouped-query attention that ``cfg`` states with the usual keys."""
    heads = cfg.count("num_attention_heads", "n_head", "n_heads")
    kv_heads = cfg.count("num_key_value_heads", default=heads)
    cfg.divides("num_key_value_heads", kv_heads, "num_attention_heads", heads)
    made: dict[str, Any] = {
        "kind": "gqa",
        "heads": heads,
        "kv_heads": kv_heads,
        "head_dim": head_dim(cfg, heads),
        "bias": cfg.flag("attention_bias"),
        "out_bias": cfg.flag("attention_bias"),
    }
    return Attention(**{**made, **more})


def head_dim(cfg: Config, heads: int) -> int:
    """Return the width of a head; stated, or hidden size over heads."""
    if "head_dim" in cfg:
        return cfg.count("head_dim")
    hidden = cfg.count("hidden_size", "n_embd", "d_model")
    cfg.divides("num_attention_heads", heads, "hidden_size", hidden)
    return max(1, hidden // heads)


def dense_mlp(cfg: Config, *, gated: bool = True, key: str = "intermediate_size") -> Mlp:
    """Return the dense feed-forward that ``cfg`` states under ``key``."""
    return Mlp(kind="dense", inter=cfg.count(key), gated=gated, bias=cfg.flag("mlp_bias"))


def window_of(cfg: Config, key: str = "sliding_window") -> int | None:
    """Return the sliding window in tokens, or None where it is null or absent."""
    return cfg.count(key) if key in cfg else None


_FULL = ("full_attention", "attention", "full", "global")
_SLIDING = ("sliding_attention", "local", "sliding")


def sliding(cfg: Config, count: int, pattern: int | None = None) -> list[bool]:
    """Return for each layer whether it reads a sliding window only.

    From ``layer_types``, or from a pattern in which every ``pattern``-th layer reads everything.
    """
    if "layer_types" not in cfg:
        return [pattern is not None and (i + 1) % pattern != 0 for i in range(count)]
    kinds = cfg.words("layer_types", count)
    strange = [kind for kind in kinds if kind not in _FULL + _SLIDING]
    if strange:
        refuse(cfg, "layer_types", repr(strange[0]))
    return [kind in _SLIDING for kind in kinds] or [False] * count


def dense_layers(cfg: Config, count: int) -> list[bool]:
    """Return for each layer whether its feed-forward is dense, by any of the keys in use."""
    if isinstance(cfg.raw("moe_layer_freq"), list):
        return [not item for item in cfg.integers("moe_layer_freq", count)] or [True] * count
    first = cfg.count("first_k_dense_replace", default=0, low=0)
    every = cfg.count("decoder_sparse_step", "moe_layer_freq", default=1)
    only = cfg.integers("mlp_only_layers") if "mlp_only_layers" in cfg else []
    offset = 1 if "decoder_sparse_step" in cfg else 0
    return [i < first or i in only or (i + offset) % every != 0 for i in range(count)]


_FLOATS = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32"}


def weight_format(cfg: Config) -> str:
    """Return the number format of the published weights, as far as the configuration tells."""
    plain = cfg.raw("torch_dtype") or cfg.raw("dtype")
    quant = cfg.raw("quantization_config")
    if not isinstance(quant, dict):
        return _FLOATS.get(plain, "bf16") if isinstance(plain, str) else "bf16"
    return _quantised(quant)


def _quantised(quant: dict[str, Any]) -> str:
    text = str(quant).lower()
    if "nvfp4" in text or "mixed_precision" in text:
        return "nvfp4"
    if "mxfp4" in text:
        return "mxfp4"
    if "num_bits': 4" in text:
        return "int4" if "'type': 'int'" in text else "nvfp4"
    if "fp8" in text or "'float'" in text:
        return "fp8_block" if quant.get("weight_block_size") else "fp8_e4m3"
    bits = quant.get("bits", quant.get("w_bit"))
    return {4: "int4", 8: "int8"}.get(bits, "bf16") if isinstance(bits, int) else "bf16"


def frame(
    cfg: Config,
    layers: Iterable[tuple[Attention, Mlp]],
    *,
    norms: int = 2,
    tied: bool = False,
    **more: Any,
) -> Model:
    """Return the model around ``layers``.

    ``norms`` is how many vectors of the hidden size a layer's norms hold, ``tied`` whether this
    family shares the output head with the embedding where the configuration is silent.

    Raises
    ------
    ScenarioError
        With every problem that the readers noted.
    """
    grouped = group(layers)
    hidden = cfg.count("hidden_size", "n_embd", "d_model")
    context = ("max_position_embeddings", "n_positions", "seq_length", "max_seq_len")
    made: dict[str, Any] = {
        "name": "",  # given by whoever knows the file
        "family": cfg.word("model_type"),
        "hidden": hidden,
        "vocab": cfg.count("vocab_size"),
        "layers": grouped,
        "max_context": cfg.count(*context, default=0, low=0),
        "tied_embeddings": cfg.flag("tie_word_embeddings", tied),
        "norm_params_per_layer": norms * hidden,
        "weight_format": weight_format(cfg),
    }
    cfg.finish()
    return Model(**{**made, **more, "notes": tuple(cfg.notes)})
