"""Architectures known to hold layers that hetsim does not model: refused by the layer's name."""

from __future__ import annotations

from hetsim.model._config import Config
from hetsim.model._types import Model
from hetsim.model.readers._common import refuse
from hetsim.spec import register

__all__: list[str] = []

_REFUSED = {
    "deepseek_v4": "compressed sparse attention with hyper-connections",
    "deepseek_ref": "compressed sparse attention with hyper-connections",
    "falcon_h1": "attention and Mamba side by side in one layer",
    "recurrent_gemma": "the recurrent block of Griffin (RG-LRU)",
    "rwkv": "RWKV time mixing",
    "rwkv7": "RWKV time mixing",
    "xlstm": "xLSTM",
    "hyena": "Hyena long convolution",
    "mamba": "Mamba 1 selective scan",
    "jamba": "Mamba 1 selective scan",
    "falcon_mamba": "Mamba 1 selective scan",
    "lfm2": "the gated short convolution of LFM 2",
    "t5": "encoder-decoder attention",
    "bart": "encoder-decoder attention",
    "whisper": "encoder-decoder attention",
    "mllama": "cross-attention to images",
    "bert": "bidirectional attention",
}


def _register(kind: str, what: str) -> None:
    @register("model_reader", kind)
    def read(cfg: Config) -> Model:
        refuse(cfg, "model_type", f"{kind!r}: {what}")
        raise AssertionError("unreachable")


for _kind, _what in _REFUSED.items():
    _register(_kind, _what)
