"""Copies between the host and an accelerator, a piece at a time.

Operations that end in ``_cold`` rotate over more memory than any cache holds, on both sides.
"""

from __future__ import annotations

import time
from typing import Any

from hetsim.calibrate.links._types import COLD, IDLE_S, Ring, Setting
from hetsim.calibrate.measure._device import Device, open_device
from hetsim.calibrate.measure._types import NotAvailable

__all__ = ["HostDeviceLink", "open_link"]

_HOT = ("to_device_pinned", "to_host_pinned", "to_device_pageable", "to_host_pageable")


def open_link(setting: Setting) -> HostDeviceLink:
    """Return buffers on both sides."""
    device = open_device(setting.device, pin=False)
    if not device.accelerated:
        raise NotAvailable("a CPU is its own host")
    return HostDeviceLink(device, setting.ring_bytes)


class HostDeviceLink:
    """A pinned and a pageable buffer here, one there."""

    ops = (*_HOT, *(f"{op}{COLD}" for op in _HOT))
    connect_s = 0.0

    def __init__(self, device: Device, room: int) -> None:
        torch = device.torch
        self._device = device
        byte = torch.uint8
        self._host: dict[str, Any] = {
            "pinned": torch.empty(room, dtype=byte, pin_memory=True),
            "pageable": torch.zeros(room, dtype=byte),
        }
        self._there = torch.empty(room, dtype=byte, device=device.place)
        self._ring = Ring(room)

    def transfer(self, op: str, size: int, pieces: int) -> float:
        """Copy and wait for the device."""
        base, each = self._ring.next(op, size), size // pieces
        host = self._host["pinned" if "pinned" in op else "pageable"]
        to_device = op.startswith("to_device")
        if op.endswith(COLD):
            time.sleep(IDLE_S)
        started = time.perf_counter()
        for i in range(pieces):
            start = base + i * each
            here, there = (x[start : start + each] for x in (host, self._there))
            if to_device:
                there.copy_(here, non_blocking=True)
            else:
                here.copy_(there, non_blocking=True)
        self._device.synchronize()
        return time.perf_counter() - started

    def close(self) -> None:
        """Give the buffers back."""
        self._host.clear()
        self._there = None
