"""Plain decoders with gated feed-forwards: Llama, Mistral, Qwen 2 and 3, Phi-3, and their kin."""

from __future__ import annotations

from dataclasses import replace

from hetsim.model._config import Config
from hetsim.model._types import Attention, Mlp, Model
from hetsim.model.readers._common import dense_mlp, frame, gqa, sliding, window_of
from hetsim.spec import register

__all__ = ["qwen_window", "read_llama"]

_TYPES = (
    "aquila", "baichuan", "cohere", "exaone", "glm", "glm4", "granite", "helium", "internlm",
    "internlm2", "internlm3", "llama", "mimo", "ministral", "mistral", "mistral3", "olmo", "olmo2",
    "orion", "phi3", "qwen2", "qwen3", "qwen3_vl", "seed_oss", "smollm3", "stablelm", "yi",
)  # fmt: skip

_HEAD_NORM = ("qwen3",)
_QKV_BIAS = ("qwen2",)
_TIED = ("cohere", "smollm3")


def qwen_window(cfg: Config) -> int | None:
    """Return the window that Qwen states and, by ``use_sliding_window``, seldom uses."""
    return window_of(cfg) if cfg.flag("use_sliding_window") else None


def _attention(cfg: Config) -> Attention:
    kind = cfg.word("model_type")
    plain = gqa(cfg)
    norm = 2 * plain.head_dim if kind.startswith(_HEAD_NORM) else 0
    if kind == "olmo2":
        norm = (plain.heads + plain.kv_heads) * plain.head_dim
    if kind.startswith(_QKV_BIAS):
        return gqa(cfg, bias=True, out_bias=False, extra_params=norm)
    if kind == "mimo":
        return gqa(cfg, out_bias=False)
    return gqa(cfg, extra_params=norm)


def _windows(cfg: Config, count: int) -> list[int | None]:
    if cfg.word("model_type").startswith(("qwen", "mimo")):
        window = qwen_window(cfg)
        first = cfg.count("max_window_layers", default=count, low=0)
        return [window if i >= first else None for i in range(count)]
    if "layer_types" in cfg:
        window = window_of(cfg)
        return [window if local else None for local in sliding(cfg, count)]
    return [window_of(cfg)] * count


@register("model_reader", "llama")
def read_llama(cfg: Config) -> Model:
    """Return a decoder in which every layer has the same widths."""
    plain, mlp = _attention(cfg), dense_mlp(cfg)
    layers: list[tuple[Attention, Mlp]] = []
    for window in _windows(cfg, cfg.layers()):
        att = plain if window is None else _with_window(plain, window)
        layers.append((att, mlp))
    return frame(cfg, layers, tied=cfg.word("model_type") in _TIED)


def _with_window(att: Attention, window: int) -> Attention:
    return replace(att, window=window)


for _type in _TYPES:
    if _type != "llama":
        register("model_reader", _type)(read_llama)
