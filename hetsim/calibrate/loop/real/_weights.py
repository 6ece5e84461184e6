"""Random weights of a size at which an answer depends on every key and value.

What an engine fills in for "dummy" weights is so small that attention does not reach the answer:
text would be right whatever the KV holds.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["write_model"]

_SHARP = 4.0
"""Spread of the logits: far more than rounding, so that two ways of computing agree."""

Shapes = Iterator[tuple[str, tuple[int, ...], float]]


def _shapes(config: Mapping[str, Any]) -> Shapes:
    """Give name, shape and spread of every tensor of a Llama; spread 0 stands for ones."""
    hidden, inter = config["hidden_size"], config["intermediate_size"]
    head = hidden // config["num_attention_heads"]
    kv = head * config["num_key_value_heads"]
    by_input = hidden**-0.5
    yield "model.embed_tokens.weight", (config["vocab_size"], hidden), 1.0
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        for name, rows in (("q", hidden), ("k", kv), ("v", kv), ("o", hidden)):
            yield f"{at}.self_attn.{name}_proj.weight", (rows, hidden), 2.0 * by_input
        for name in ("gate", "up"):
            yield f"{at}.mlp.{name}_proj.weight", (inter, hidden), by_input
        yield f"{at}.mlp.down_proj.weight", (hidden, inter), inter**-0.5
        for name in ("input", "post_attention"):
            yield f"{at}.{name}_layernorm.weight", (hidden,), 0.0
    yield "model.norm.weight", (hidden,), 0.0
    yield "lm_head.weight", (config["vocab_size"], hidden), _SHARP * by_input


def write_model(folder: Path, config: Mapping[str, Any], seed: int = 1) -> None:
    """Write a configuration and its weights in bf16 (safetensors), the same for a seed."""
    import numpy as np

    draw = np.random.default_rng(seed)
    header: dict[str, Any] = {}
    parts: list[bytes] = []
    at = 0
    for name, shape, spread in _shapes(config):
        wide = draw.standard_normal(shape, dtype=np.float32) * np.float32(spread)
        made = wide if spread > 0.0 else np.ones(shape, np.float32)
        part = (made.view(np.uint32) >> 16).astype(np.uint16).tobytes()  # bf16: the upper half
        header[name] = {
            "dtype": "BF16",
            "shape": list(shape),
            "data_offsets": [at, at + len(part)],
        }
        parts.append(part)
        at += len(part)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(text)) + text + b"".join(parts)
    )
    (folder / "config.json").write_text(json.dumps(config))
