"""Llama 4: routed and dense layers in turn, chunked attention but for every fourth layer."""

from __future__ import annotations

from dataclasses import replace

from hetsim.model._config import Config
from hetsim.model._types import Model
from hetsim.model.readers._common import dense_mlp, frame, gqa
from hetsim.model.readers.moe import routed
from hetsim.spec import register

__all__: list[str] = []

_FULL_EVERY = 4


@register("model_reader", "llama4")
@register("model_reader", "llama4_text")
def read_llama4(cfg: Config) -> Model:
    """Return a Llama 4; a chunk counts as a window, the most that one of its queries reads."""
    full = gqa(cfg)
    local = replace(full, window=cfg.count("attention_chunk_size"))
    cfg.note("chunked attention counts as a window of one chunk, an upper bound")
    inter = cfg.count("intermediate_size")
    moe = routed(cfg, inter, shared_inter=inter)
    step = cfg.count("interleave_moe_layer_step", default=1)
    flat = dense_mlp(cfg, key="intermediate_size_mlp") if step > 1 else moe
    layers = [
        (full if (i + 1) % _FULL_EVERY == 0 else local, moe if (i + 1) % step == 0 else flat)
        for i in range(cfg.layers())
    ]
    return frame(cfg, layers)
