"""Sizes of the real transformer: Hugging Face Llama configurations, and what is read from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from hetsim.errors import Problem, ScenarioError, nearest

__all__ = ["SIZES", "Dims", "Setting", "config_of", "dims_of", "twin_config"]

Setting = int | float | str | bool
Config = Mapping[str, Setting]


class Dims(NamedTuple):
    """Widths of one decoder."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    inter: int
    vocab: int
    context: int
    eps: float
    theta: float

    def kv_elements(self, tokens: int) -> int:
        """Return the KV elements of ``tokens`` tokens.

        >>> dims_of(SIZES["tiny"]).kv_elements(10)  # 2 layers, K and V, 2 heads of 16
        1280
        """
        return 2 * self.layers * self.kv_heads * self.head_dim * tokens


def _llama(
    hidden: int, layers: int, heads: int, kv_heads: int, inter: int, vocab: int, context: int
) -> dict[str, Setting]:
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": inter,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": vocab,
        "max_position_embeddings": context,
        "tie_word_embeddings": False,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
    }


SIZES: Mapping[str, Config] = {
    "tiny": _llama(64, 2, 4, 2, 176, 256, 512),
    "30m": _llama(512, 8, 8, 2, 1408, 8192, 4096),
    "90m": _llama(768, 10, 12, 4, 2112, 16384, 4096),
    "200m": _llama(1024, 12, 16, 4, 2816, 32000, 4096),
}
"""By name: about so many parameters."""


def config_of(size: str) -> Config:
    """Return the configuration of a size.

    Raises
    ------
    ScenarioError
        If there is none of that name.
    """
    found = SIZES.get(size)
    if found is None:
        raise ScenarioError(Problem(f"no size {size!r}; {nearest(size, SIZES)}", "--size"))
    return found


def twin_config(config: Config) -> Config:
    """Return a model as deep and with as many heads as ``config``, and almost no width.

    >>> dims_of(twin_config(SIZES["30m"]))[:6]
    (8, 128, 8, 2, 16, 64)
    """
    dims = dims_of(config)
    narrow = _llama(16 * dims.heads, dims.layers, dims.heads, dims.kv_heads, 64, 256, dims.context)
    return {**narrow, "head_dim": 16}


def dims_of(config: Config) -> Dims:
    """Return the widths that a Hugging Face Llama configuration states.

    >>> dims_of(SIZES["200m"]).head_dim
    64
    """
    hidden, heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    return Dims(
        layers=int(config["num_hidden_layers"]),
        hidden=hidden,
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads", heads)),
        head_dim=int(config.get("head_dim", hidden // heads)),
        inter=int(config["intermediate_size"]),
        vocab=int(config["vocab_size"]),
        context=int(config["max_position_embeddings"]),
        eps=float(config.get("rms_norm_eps", 1e-5)),
        theta=float(config.get("rope_theta", 10000.0)),
    )
