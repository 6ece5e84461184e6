"""What a device holds: weights, KV per token, state per sequence, working memory."""

from __future__ import annotations

from math import ceil

from hetsim.costs._roles import Roles
from hetsim.costs._types import Layout
from hetsim.model import (
    Gemm,
    LayerGroup,
    Model,
    attention_of,
    expert_gemms,
    mlp_gemms,
    router_gemms,
    shared_gemms,
)
from hetsim.spec import spec

__all__ = ["Memory", "memory_of"]


@spec
class Memory:
    """Bytes on the fullest device of an instance."""

    weight_bytes: float
    kv_bytes: tuple[float, ...]
    """Per token, by window (see ``StepModel.windows``); KV heads are replicated beyond TP."""
    state_bytes: float
    """Per sequence, of linear layers."""
    activation_bytes_per_token: float


def _elements(gemms: tuple[Gemm, ...]) -> float:
    return sum(gemm.n * gemm.k for gemm in gemms)


def _layer_bytes(group: LayerGroup, model: Model, layout: Layout, roles: Roles) -> float:
    """Return the weight bytes of one layer on one device."""
    hidden, mlp = model.hidden, group.mlp
    narrow, wide = roles.weights.bytes_per_element, roles.wide.bytes_per_element
    kept = roles.attention_weights.bytes_per_element
    attention = _elements(attention_of(group.attention).gemms(hidden, layout.tp)) * kept
    dense = _elements(mlp_gemms(mlp, hidden, layout.tp)) + _elements(
        shared_gemms(mlp, hidden, layout.tp)
    )
    one = _elements(expert_gemms(mlp, hidden, layout.expert_tp))
    experts = mlp.experts / layout.ep * one
    other = _elements(router_gemms(mlp, hidden)) + model.norm_params_per_layer
    return attention + (dense + experts) * narrow + other * wide


def _end_bytes(model: Model, layout: Layout, roles: Roles) -> float:
    """Return the bytes of embedding and head on the fuller end of the pipeline."""
    wide = roles.wide.bytes_per_element
    embedding = (model.vocab + model.position_embeddings) * model.hidden / layout.tp
    head = model.vocab * model.hidden / layout.tp
    rest = (model.hidden + model.extra_params + model.lookup_params / layout.tp) * wide
    if layout.pp > 1:
        return max(embedding, head) * wide + rest
    return (embedding if model.tied_embeddings else embedding + head) * wide + rest


def _activation_bytes(model: Model, layout: Layout, roles: Roles) -> float:
    """Return the bytes a token keeps alive at the widest point of a layer.

    Residual, normed input and output (3 hidden rows), and the widest feed-forward or attention
    product. Routed tokens are held once per expert.
    """
    widest = 0.0
    for group in model.layers:
        gemms = attention_of(group.attention).gemms(model.hidden, layout.tp)
        inner = sum(gemm.n for gemm in gemms)
        inner = max(inner, sum(gemm.n for gemm in mlp_gemms(group.mlp, model.hidden, layout.tp)))
        if group.mlp.kind == "moe":
            routed = expert_gemms(group.mlp, model.hidden, layout.expert_tp)
            share = layout.dp * group.mlp.top_k / layout.ep
            inner = max(inner, share * sum(gemm.n for gemm in routed))
        widest = max(widest, inner)
    return (3.0 * model.hidden + 1.5 * widest) * roles.wide.bytes_per_element


def memory_of(
    model: Model, layout: Layout, roles: Roles, windows: tuple[int | None, ...]
) -> Memory:
    """Return what the fullest device holds; the counts are those that step times are made of."""
    layers = model.layer_count
    share = ceil(layers / layout.pp) / layers
    weights = sum(group.count * _layer_bytes(group, model, layout, roles) for group in model.layers)
    kv = [0.0] * len(windows)
    state = 0.0
    for group in model.layers:
        kind = attention_of(group.attention)
        stored = kind.kv_elements_per_token(layout.tp) * roles.kv.bytes_per_element
        # Sparse attention reads a selection, but must keep everything.
        keeps_all = kind.indexed and None in windows
        slot = windows.index(None if keeps_all else kind.context_limit) if stored else 0
        kv[slot] += group.count * share * stored
        state += group.count * share * kind.state_bytes(layout.tp)
    return Memory(
        weight_bytes=weights * share + _end_bytes(model, layout, roles),
        kv_bytes=tuple(kv),
        state_bytes=state,
        activation_bytes_per_token=_activation_bytes(model, layout, roles),
    )
