"""Operands: cold ones that rotate over more than the cache, warm ones for activations."""

from __future__ import annotations

from math import prod
from typing import Any

from hetsim.calibrate.measure._device import Device
from hetsim.calibrate.measure._types import NotAvailable

__all__ = ["Bench"]

_DTYPES = {
    "fp32": "float32",
    "tf32": "float32",
    "bf16": "bfloat16",
    "fp16": "float16",
    "fp8_e4m3": "float8_e4m3fn",
    "int8": "int8",
    "uint8": "uint8",
}
_COPIES = 512
_ALIGN = 64
_BLOCK = 1 << 18


class Bench:
    """Makes the operands of kernels on one device.

    Weights and KV come from one large buffer per format, as views that lie behind one another, so
    that an operand is met again only after more than the cache was read. Activations are made once
    and stay warm, as they are in a model.
    """

    def __init__(self, device: Device, cold_bytes: float | None = None) -> None:
        self.device = device
        self.torch = device.torch
        self.place = device.place
        self.cold_bytes = cold_bytes or max(128e6, 4.0 * device.cache_bytes)
        self._buffers: dict[str, Any] = {}
        self._generator = self.torch.Generator(device="cpu").manual_seed(7)

    def dtype(self, fmt: str) -> Any:
        """Return the torch type of a format.

        Raises
        ------
        NotAvailable
            If torch has none.
        """
        found = getattr(self.torch, _DTYPES.get(fmt, ""), None)
        if found is None:
            raise NotAvailable(f"torch has no type for {fmt}")
        return found

    def warm(self, fmt: str, *shape: int) -> Any:
        """Return a tensor of random numbers."""
        return self._random(fmt, prod(shape)).view(*shape)

    def cold(self, fmt: str, *shape: int) -> list[Any]:
        """Return tensors of one shape that together exceed the cache."""
        size = prod(shape)
        step = -(-size // _ALIGN) * _ALIGN
        width = self.dtype(fmt).itemsize
        buffer = self._buffer(fmt, max(int(self.cold_bytes / width), step))
        count = min(_COPIES, buffer.numel() // step)
        return [buffer[i * step : i * step + size].view(*shape) for i in range(count)]

    def forget(self) -> None:
        """Give back buffers that one huge operand has made larger than usual."""
        for fmt, buffer in list(self._buffers.items()):
            if buffer.numel() * buffer.element_size() > 3.0 * self.cold_bytes:
                del self._buffers[fmt]

    def _buffer(self, fmt: str, elements: int) -> Any:
        found = self._buffers.get(fmt)
        if found is None or found.numel() < elements:
            found = self._random(fmt, elements)
            self._buffers[fmt] = found
        return found

    def _random(self, fmt: str, count: int) -> Any:
        torch = self.torch
        if count > _BLOCK:
            # A block repeated: random numbers are slow, and kernels do not look at values.
            return self._random(fmt, _BLOCK).repeat(-(-count // _BLOCK))[:count]
        if fmt in ("int8", "uint8"):
            low, high = (-127, 127) if fmt == "int8" else (0, 255)
            made = torch.randint(low, high, (count,), generator=self._generator)
            return made.to(self.dtype(fmt)).to(self.place)
        # Small values: products of long rows stay finite in every format.
        made = 0.1 * torch.randn(count, generator=self._generator)
        return made.to(self.dtype(fmt)).to(self.place)
