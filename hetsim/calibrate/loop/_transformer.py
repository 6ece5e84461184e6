"""A decoder of the Llama kind with random weights: RMSNorm, rotation, grouped heads, SwiGLU, KV.

The same torch calls as the kernel measurements use, on the same kind of operands, since another
library's kernels differ by a fifth. One thread, no autograd.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from hetsim.calibrate.loop._cache import Codec, KvCache, torch_dtype
from hetsim.calibrate.loop._shapes import Dims

if TYPE_CHECKING:
    import torch

__all__ = ["Transformer", "attend_each", "rotated"]


class _Layer(NamedTuple):
    """Weights of one layer, each ``[outputs, inputs]``."""

    norm_in: torch.Tensor
    qkv: torch.Tensor
    out: torch.Tensor
    norm_mid: torch.Tensor
    gate_up: torch.Tensor
    down: torch.Tensor


class Transformer:
    """A decoder; equal ``dims``, ``fmt`` and ``seed`` give equal weights in every process."""

    def __init__(self, dims: Dims, fmt: str, seed: int = 0) -> None:
        import torch

        self.dims = dims
        self.dtype = torch_dtype(fmt)
        self._random = torch.Generator().manual_seed(seed)
        self.ones = torch.ones(dims.hidden, dtype=self.dtype)
        self.embedding = self._weights(dims.vocab, dims.hidden, 1.0)
        self.layers = [self._layer() for _ in range(dims.layers)]
        self.norm_out = self.ones
        self.head = self._weights(dims.vocab, dims.hidden, dims.hidden**-0.5)
        self.cos, self.sin = self._rotations()

    def _weights(self, rows: int, columns: int, deviation: float) -> torch.Tensor:
        import torch

        bound = deviation * 3.0**0.5
        made = torch.empty(rows, columns).uniform_(-bound, bound, generator=self._random)
        return made.to(self.dtype)

    def _layer(self) -> _Layer:
        dims = self.dims
        features = (dims.heads + 2 * dims.kv_heads) * dims.head_dim
        wide = dims.heads * dims.head_dim
        return _Layer(
            norm_in=self.ones,
            qkv=self._weights(features, dims.hidden, dims.hidden**-0.5),
            out=self._weights(dims.hidden, wide, wide**-0.5),
            norm_mid=self.ones,
            gate_up=self._weights(2 * dims.inter, dims.hidden, dims.hidden**-0.5),
            down=self._weights(dims.hidden, dims.inter, dims.inter**-0.5),
        )

    def _rotations(self) -> tuple[torch.Tensor, torch.Tensor]:
        import torch

        half = self.dims.head_dim // 2
        rates = self.dims.theta ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.outer(torch.arange(self.dims.context, dtype=torch.float64), rates)
        both = torch.cat([angles, angles], dim=-1).unsqueeze(1)
        return both.cos().to(self.dtype), both.sin().to(self.dtype)

    def codec(self, fmt: str) -> Codec:
        """Return a KV format with the scales of a fixed prompt."""
        import torch

        sample = torch.arange(64).remainder(self.dims.vocab)
        return Codec(fmt, self.prefill(sample)[1])

    # --- the two stages --------------------------------------------------------------------------

    def prefill(self, tokens: torch.Tensor) -> tuple[int, torch.Tensor]:
        """Return the first output token of a prompt, and its KV ``[layers, 2, tokens, ...]``."""
        import torch

        dims, count = self.dims, tokens.shape[0]
        kv = torch.empty(
            dims.layers, 2, count, dims.kv_heads, dims.head_dim, dtype=self.dtype
        )  # each layer is written once and sent as it lies
        with torch.inference_mode():
            x = self.embedding[tokens]
            turn = self.cos[:count], self.sin[:count]
            for index, layer in enumerate(self.layers):
                q = self._project(layer, x, turn, kv[index])
                x = self._rest(layer, x, _attend_prompt(q, kv[index]))
            return int(self._logits(x[-1:]).argmax(-1)), kv

    def decode(self, tokens: torch.Tensor, caches: Sequence[KvCache]) -> list[int]:
        """Return the next token of every sequence; its KV is appended."""
        import torch

        dims, batch = self.dims, len(caches)
        pair = torch.empty(2, batch, dims.kv_heads, dims.head_dim, dtype=self.dtype)
        with torch.inference_mode():
            places = torch.tensor([cache.length for cache in caches])
            turn = self.cos[places], self.sin[places]
            x = self.embedding[tokens]
            for index, layer in enumerate(self.layers):
                q = self._project(layer, x, turn, pair)
                x = self._rest(layer, x, attend_each(index, q, pair, caches))
            found: list[int] = self._logits(x).argmax(-1).tolist()
        for cache in caches:
            cache.length += 1
        return found

    # --- parts of a layer ------------------------------------------------------------------------

    def _norm(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import rms_norm

        return rms_norm(x, (self.dims.hidden,), weight, self.dims.eps)

    def _project(
        self,
        layer: _Layer,
        x: torch.Tensor,
        turn: tuple[torch.Tensor, torch.Tensor],
        pair: torch.Tensor,
    ) -> torch.Tensor:
        """Return rotated queries ``[tokens, heads, head_dim]``; K and V are written to ``pair``."""
        from torch.nn.functional import linear

        dims, count = self.dims, x.shape[0]
        both = linear(self._norm(x, layer.norm_in), layer.qkv).view(count, -1, dims.head_dim)
        ends = dims.heads, dims.heads + dims.kv_heads
        pair[0] = rotated(both[:, ends[0] : ends[1]], *turn)
        pair[1] = both[:, ends[1] :]
        return rotated(both[:, : ends[0]], *turn)

    def _rest(self, layer: _Layer, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        """Return the layer's output: projection, residual, feed-forward, residual."""
        from torch.nn.functional import linear, silu

        x = x + linear(attended.reshape(x.shape[0], -1), layer.out)
        gate, up = linear(self._norm(x, layer.norm_mid), layer.gate_up).chunk(2, dim=-1)
        return x + linear(silu(gate).mul_(up), layer.down)

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        from torch.nn.functional import linear

        return linear(self._norm(x, self.norm_out), self.head)


def rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    import torch

    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin


def attend_each(
    index: int, q: torch.Tensor, pair: torch.Tensor, caches: Sequence[KvCache]
) -> torch.Tensor:
    """Return attention of one query per sequence, each over its own cache."""
    import torch

    made = torch.empty(q.shape, dtype=q.dtype)
    for row, cache in enumerate(caches):
        cache.append(index, pair[:, row : row + 1])
        made[row] = _attend_one(q[row], *cache.read(index))
    return made


def _attend_prompt(q: torch.Tensor, pair: torch.Tensor) -> torch.Tensor:
    """Return causal attention ``[tokens, heads, head_dim]`` of a whole prompt."""
    from torch.nn.functional import scaled_dot_product_attention

    k, v = (part.transpose(0, 1).unsqueeze(0) for part in pair)
    made = scaled_dot_product_attention(
        q.transpose(0, 1).unsqueeze(0), k, v, is_causal=True, enable_gqa=True
    )
    return made[0].transpose(0, 1)


def _attend_one(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Return attention of one query ``[heads, head_dim]``.

    Heads that share KV stand side by side as rows of one product, so that no KV is repeated.
    """
    from torch.nn.functional import scaled_dot_product_attention

    shared = k.shape[1]
    rows = q.view(1, shared, q.shape[0] // shared, q.shape[1])
    return scaled_dot_product_attention(rows, k, v).view(q.shape)
