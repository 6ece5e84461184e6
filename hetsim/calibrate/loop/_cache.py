"""KV of one sequence as real bytes: formats, static scales, and the cache that decode reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hetsim.calibrate.loop._shapes import Dims

if TYPE_CHECKING:
    import torch

__all__ = ["FORMATS", "Codec", "KvCache", "octets", "torch_dtype"]

FORMATS = ("fp32", "bf16", "int8", "fp8_e4m3")
_TOP = {"int8": 127.0, "fp8_e4m3": 448.0}


def torch_dtype(fmt: str) -> torch.dtype:
    """Return the torch type that holds one element of a format."""
    import torch

    return {
        "fp32": torch.float32,
        "bf16": torch.bfloat16,
        "int8": torch.int8,
        "fp8_e4m3": torch.float8_e4m3fn,
    }[fmt]


def octets(tensor: torch.Tensor) -> memoryview:
    """Return the bytes of a contiguous tensor, shared."""
    import torch

    shared: Any = tensor.view(torch.uint8).numpy()
    return memoryview(shared).cast("B")


class Codec:
    """One KV format with its static scales: per channel for int8, one for fp8, none otherwise.

    ``sample`` is KV ``[layers, 2, tokens, kv_heads, head_dim]`` of a prompt that both processes
    compute alike, as scales of a checkpoint would be.
    """

    __slots__ = ("dtype", "format", "inverse", "scale", "wide")

    def __init__(self, fmt: str, sample: torch.Tensor) -> None:
        self.format = fmt
        self.dtype = torch_dtype(fmt)
        self.wide = sample.dtype
        self.scale: torch.Tensor | None = None
        self.inverse: torch.Tensor | None = None
        if fmt not in _TOP:
            return
        # Twice the largest value of the sample: later prompts may reach further.
        top = sample.float().abs()
        top = top.amax(dim=2, keepdim=True) if fmt == "int8" else top.max().expand(top.shape[0], 1)
        scale = (2.0 * top).clamp_min(1e-6) / _TOP[fmt]
        self.scale = scale.to(self.wide)
        self.inverse = scale.reciprocal().to(self.wide)

    def encode(self, layer: int, values: torch.Tensor) -> torch.Tensor:
        """Return ``[2, tokens, kv_heads, head_dim]`` of one layer in this format."""
        if self.inverse is None:
            return values
        scaled = values * self.inverse[layer]
        if self.format == "int8":
            scaled = scaled.round_().clamp_(-127.0, 127.0)
        return scaled.to(self.dtype)

    def decode(self, layer: int, codes: torch.Tensor) -> torch.Tensor:
        """Return the values that ``codes`` of one layer mean, as wide as the model computes."""
        if self.scale is None:
            return codes
        return codes.to(self.wide).mul_(self.scale[layer])

    def encode_all(self, values: torch.Tensor, into: torch.Tensor) -> None:
        """Encode all layers ``[layers, 2, tokens, kv_heads, head_dim]`` in one pass."""
        if self.inverse is None:
            into.copy_(values)
            return
        scaled = values * self._whole(self.inverse)
        if self.format == "int8":
            scaled = scaled.round_().clamp_(-127.0, 127.0)
        into.copy_(scaled)

    def decode_all(self, codes: torch.Tensor, into: torch.Tensor) -> None:
        """Decode all layers; one by one, since the wide values in between would not fit a cache."""
        for layer in range(codes.shape[0]):
            into[layer] = self.decode(layer, codes[layer])

    def _whole(self, scale: torch.Tensor) -> torch.Tensor:
        """Return the scales of all layers in a shape that spreads over tokens and channels."""
        return scale if scale.dim() > 2 else scale.view(-1, 1, 1, 1, 1)


class KvCache:
    """KV of one sequence, token after token in each layer.

    Touched when made, so that a hand-off never waits for fresh pages.
    """

    __slots__ = ("codec", "codes", "length")

    def __init__(self, codec: Codec, codes: torch.Tensor, length: int = 0) -> None:
        self.codec = codec
        self.codes = codes
        """``[layers, 2, room, kv_heads, head_dim]``."""
        self.length = length

    @classmethod
    def empty(cls, dims: Dims, codec: Codec, room: int) -> KvCache:
        """Return a cache with room for so many tokens."""
        import torch

        shape = (dims.layers, 2, room, dims.kv_heads, dims.head_dim)
        return cls(codec, torch.zeros(shape, dtype=torch.float32).to(codec.dtype))

    def planes(self, tokens: int) -> Iterator[memoryview]:
        """Yield where the bytes of the first tokens lie: K and V of each layer."""
        for layer in self.codes:
            for plane in layer:
                yield octets(plane[:tokens])

    def head(self, tokens: int) -> torch.Tensor:
        """Return the codes of the first tokens of all layers, not copied."""
        return self.codes[:, :, :tokens]

    def append(self, layer: int, pair: torch.Tensor) -> None:
        """Write K and V ``[2, 1, kv_heads, head_dim]`` of the token at ``length``."""
        at = self.length
        self.codes[layer, :, at : at + 1] = self.codec.encode(layer, pair)

    def read(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return K and V ``[1, kv_heads, tokens, head_dim]`` including the token just written."""
        held = self.codec.decode(layer, self.codes[layer, :, : self.length + 1])
        return held[0].transpose(0, 1).unsqueeze(0), held[1].transpose(0, 1).unsqueeze(0)
