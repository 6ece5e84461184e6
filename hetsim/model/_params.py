"""How many parameters a model has, and how many one token passes."""

from __future__ import annotations

from hetsim.model._mlp import active_mlp_parameters, mlp_parameters
from hetsim.model._types import Model
from hetsim.model.attention import attention_of

__all__ = ["active_parameters", "embedding_parameters", "parameters"]


def embedding_parameters(model: Model) -> float:
    """Return the parameters of the input embedding, learned positions included."""
    return (model.vocab + model.position_embeddings) * model.hidden


def _rest(model: Model) -> float:
    """Return norms and whatever a reader found outside the pattern: passed by every token."""
    per_layer = model.layer_count * model.norm_params_per_layer
    return per_layer + model.hidden + model.extra_params


def _attention(model: Model) -> float:
    return sum(
        group.count * attention_of(group.attention).params(model.hidden) for group in model.layers
    )


def parameters(model: Model) -> float:
    """Return the parameters of the language model: embeddings, layers, norms, output head.

    Tied embeddings count once. Vision towers and multi-token-prediction layers do not count.
    """
    heads = 1 if model.tied_embeddings else 2
    mlps = sum(group.count * mlp_parameters(group.mlp, model.hidden) for group in model.layers)
    embeddings = embedding_parameters(model) + (heads - 1) * model.vocab * model.hidden
    return embeddings + _attention(model) + mlps + _rest(model) + model.lookup_params


def active_parameters(model: Model) -> float:
    """Return the parameters that one token passes: half its FLOP outside attention scores.

    The output head counts, also when tied; the input embedding (a row is looked up) does not.
    Of routed experts, ``top_k`` count. Published figures follow this or count the embedding too.
    Source: convention of the gpt-oss model card, table 1, 2025.
    """
    mlps = sum(
        group.count * active_mlp_parameters(group.mlp, model.hidden) for group in model.layers
    )
    return model.vocab * model.hidden + _attention(model) + mlps + _rest(model)
