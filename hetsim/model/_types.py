"""What a model needs: layers, heads, experts. Shapes only; no device and no precision."""

from __future__ import annotations

from typing import Literal

from hetsim.spec import spec

__all__ = ["Attention", "LayerGroup", "Mlp", "Model"]


@spec
class Attention:
    """One attention (or token mixing) layer.

    ``gqa`` covers MHA (kv_heads = heads) and MQA (kv_heads = 1). ``mla`` keeps one latent row per
    token. ``linear`` (SSM, linear attention) keeps a constant state and no KV per token.
    """

    kind: Literal["gqa", "mla", "linear", "none"]
    heads: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    v_head_dim: int = 0
    window: int | None = None
    """Context tokens that a query reads at most; None = all."""
    gated: bool = False
    """An output gate as wide as the attention output (Qwen3-Next)."""
    bias: bool = False
    """Biases on the query, key and value projections."""
    out_bias: bool = False
    shared_kv: bool = False
    """Reads the KV of an earlier layer: projects and stores none (last layers of small Gemma 4)."""
    value_is_key: bool = False
    """No value projection: the value is the key before its rotation (Gemma 4, global layers)."""
    q_lora_rank: int = 0
    kv_lora_rank: int = 0
    rope_dim: int = 0
    nope_dim: int = 0
    index_heads: int = 0
    """Heads of a sparse-attention indexer (DeepSeek V3.2); 0 = none."""
    index_dim: int = 0
    """Width of one indexer key; each token stores one, beside its KV."""
    index_topk: int = 0
    """Context tokens that a query reads at most, chosen by the indexer; 0 = all."""
    in_features: int = 0
    """Width of all input projections together (linear layers); the output is heads x v_head_dim."""
    state_elements: int = 0
    """Elements of constant state per sequence (linear layers), at ``state_bytes_per_element``."""
    state_bytes_per_element: float = 4.0
    state_flop_per_element: float = 6.0
    """FLOP per token and element of state: decay, update and read (linear layers)."""
    conv_state_elements: int = 0
    """Elements that a short convolution remembers per sequence, at two bytes each."""
    extra_params: int = 0
    """Parameters that the shapes above do not give: head norms, sinks, convolutions, low ranks."""


@spec
class Mlp:
    """One feed-forward layer: dense, or mixture of experts with optional shared experts."""

    kind: Literal["dense", "moe", "none"]
    inter: int = 0
    """Intermediate size of the dense MLP, or of one expert."""
    gated: bool = True
    bias: bool = False
    experts: int = 0
    top_k: int = 0
    groups: int = 1
    """Groups of consecutive experts that the router chooses among first; 1 = it does not."""
    top_groups: int = 1
    """How many of the groups the experts of one token may come from."""
    shared_inter: int = 0
    """Intermediate size of the shared experts together."""
    shared_gate: bool = False
    router_bias: bool = False
    latent: int = 0
    """Width in which the routed experts work, 0 = hidden (Nemotron 3: projected down and up)."""


@spec
class LayerGroup:
    """``count`` layers of equal shape."""

    count: int
    attention: Attention
    mlp: Mlp


@spec
class Model:
    """A decoder-only language model."""

    name: str
    family: str
    hidden: int
    vocab: int
    layers: tuple[LayerGroup, ...]
    max_context: int
    tied_embeddings: bool
    norm_params_per_layer: int
    """Parameters of the norms of one layer."""
    position_embeddings: int = 0
    """Learned position vectors (OPT, GPT), 0 = none."""
    weight_format: str = "bf16"
    """The number format in which the checkpoint is published."""
    extra_params: int = 0
    """Parameters outside the pattern above, with the reason in ``notes``."""
    lookup_params: int = 0
    """Tables of which a token reads single rows (per-layer embeddings of small Gemma 4)."""
    published_params: float | None = None
    published_active_params: float | None = None
    notes: tuple[str, ...] = ()
    source: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def layer_count(self) -> int:
        """Number of layers."""
        return sum(group.count for group in self.layers)
