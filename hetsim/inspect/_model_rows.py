"""A model as rows for people."""

from __future__ import annotations

import re
from pathlib import Path

from hetsim.model import Attention, Mlp, Model, active_parameters, attention_of, parameters
from hetsim.units import format_bytes

__all__ = ["kv_elements_per_token", "model_rows", "model_title"]

_FIELD = r"^(?:  )?{}: *\"?([\w.+-]+)"


def model_title(path: Path) -> str:
    """Return what a list says of a model, read without building it."""
    text = path.read_text(encoding="utf-8")

    def find(field: str) -> str:
        found = re.search(_FIELD.format(field), text, re.MULTILINE)
        return found[1] if found else ""

    total, active = find("published_params"), find("published_active_params")
    words = [find("model_type")]
    if total:
        words.append(f"{float(total) / 1e9:.4g} B parameters")
    if active:
        words.append(f"{float(active) / 1e9:.3g} B per token")
    return ", ".join(word for word in words if word)


def kv_elements_per_token(model: Model) -> float:
    """Return the KV elements that one token leaves in all layers (MLA: its latent rows)."""
    return sum(
        group.count * attention_of(group.attention).kv_elements_per_token(1)
        for group in model.layers
    )


def model_rows(model: Model) -> list[dict[str, str]]:
    """Return (field, value, source) of a model; shapes come from its configuration."""
    total, active = parameters(model), active_parameters(model)
    kv = kv_elements_per_token(model)
    rows = [
        ("name", model.name, model.source),
        ("family", model.family, ""),
        ("parameters", f"{total / 1e9:.5g} B", "from the shapes"),
        ("parameters per token", f"{active / 1e9:.5g} B", "from the shapes"),
        ("layers", str(model.layer_count), ""),
        ("hidden size", str(model.hidden), ""),
        ("vocabulary", str(model.vocab), ""),
        ("longest context", f"{model.max_context} tokens", ""),
        ("checkpoint format", model.weight_format, ""),
        ("KV per token", f"{kv:.0f} elements, {format_bytes(2 * kv)} in 16 bit", ""),
    ]
    if model.published_params:
        rows.append(("published parameters", f"{model.published_params / 1e9:.5g} B", ""))
    for group in model.layers:
        text = f"{group.count} x {_attention(group.attention)}; {_mlp(group.mlp)}"
        rows.append(("layer group", text, ""))
    rows += [("note", note, "") for note in model.notes]
    rows += [("also called", ", ".join(model.aliases), "")] if model.aliases else []
    return [{"field": field, "value": value, "source": source} for field, value, source in rows]


def _attention(att: Attention) -> str:
    if att.kind == "gqa":
        text = f"gqa, {att.heads} heads, {att.kv_heads} KV heads of {att.head_dim}"
    elif att.kind == "mla":
        text = f"mla, {att.heads} heads, latent {att.kv_lora_rank} + rope {att.rope_dim}"
    elif att.kind == "linear":
        text = f"linear, state of {att.state_elements} elements"
    else:
        text = "no attention"
    if att.index_topk:
        text += f", sparse (top {att.index_topk})"
    return text + (f", window {att.window}" if att.window else "")


def _mlp(mlp: Mlp) -> str:
    if mlp.kind == "dense":
        return f"dense MLP of {mlp.inter}"
    if mlp.kind == "moe":
        shared = f", shared {mlp.shared_inter}" if mlp.shared_inter else ""
        return f"{mlp.experts} experts of {mlp.inter}, {mlp.top_k} per token{shared}"
    return "no MLP"
