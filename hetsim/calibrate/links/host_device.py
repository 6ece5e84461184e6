"""Copies between the host and an accelerator, a piece at a time."""

from __future__ import annotations

from typing import Any

from hetsim.calibrate.links._types import Setting
from hetsim.calibrate.measure._device import Device, open_device
from hetsim.calibrate.measure._types import NotAvailable

__all__ = ["HostDeviceLink", "open_link"]


def open_link(setting: Setting) -> HostDeviceLink:
    """Return buffers on both sides."""
    device = open_device(setting.device, pin=False)
    if not device.accelerated:
        raise NotAvailable("a CPU is its own host")
    return HostDeviceLink(device, setting.largest_bytes)


class HostDeviceLink:
    """A pinned and a pageable buffer here, one there."""

    ops = ("to_device_pinned", "to_host_pinned", "to_device_pageable", "to_host_pageable")
    connect_s = 0.0

    def __init__(self, device: Device, largest: int) -> None:
        torch = device.torch
        self._device = device
        byte = torch.uint8
        self._host: dict[str, Any] = {
            "pinned": torch.empty(largest, dtype=byte, pin_memory=True),
            "pageable": torch.empty(largest, dtype=byte),
        }
        self._there = torch.empty(largest, dtype=byte, device=device.place)

    def transfer(self, op: str, size: int, pieces: int) -> None:
        """Copy and wait for the device."""
        each = size // pieces
        host = self._host["pinned" if op.endswith("pinned") else "pageable"]
        to_device = op.startswith("to_device")
        for i in range(pieces):
            here, there = (x[i * each : (i + 1) * each] for x in (host, self._there))
            if to_device:
                there.copy_(here, non_blocking=True)
            else:
                here.copy_(there, non_blocking=True)
        self._device.synchronize()

    def close(self) -> None:
        """Give the buffers back."""
        self._host.clear()
        self._there = None
