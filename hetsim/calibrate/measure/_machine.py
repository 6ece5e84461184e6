"""The state of the machine: clocks, temperatures, load, versions. Nothing that names it."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

from hetsim.calibrate.measure._device import Device, cpu_facts, cpu_title

__all__ = ["clock_mhz", "facts_of", "state"]

_LIBRARIES = ("oneDNN", "Intel(R) MKL", "MKL-DNN", "OpenMP", "CUDA Runtime", "CuDNN", "HIP Runtime")


def clock_mhz() -> float | None:
    """Return the clock of the first core as Linux reports it, or None."""
    try:
        return float(cpu_facts()["cpu MHz"])
    except (KeyError, ValueError):
        return None


def state() -> dict[str, Any]:
    """Return clocks, temperatures and load now."""
    heat = []
    for file in sorted(Path("/sys/class/thermal").glob("thermal_zone*/temp")):
        try:
            heat.append(float(file.read_text()) / 1000.0)
        except (OSError, ValueError):
            continue
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"cpu_mhz": clock_mhz(), "celsius_max": max(heat, default=None), "load_1min": load}


def facts_of(device: Device) -> dict[str, Any]:
    """Return what the device, its driver and the libraries are."""
    torch = device.torch
    version = torch.version
    return {
        "name": device.slug,
        "title": device.title,
        "place": device.place,
        "clock": device.clock,
        "threads": device.threads,
        "devices": device.count,
        "cache_bytes": device.cache_bytes,
        "memory_bytes": device.memory_bytes,
        "cpu": cpu_title(),
        "cpu_flags": _flags(),
        "torch": str(torch.__version__),
        "driver": {
            name: str(getattr(version, name))
            for name in ("cuda", "hip", "xpu")
            if getattr(version, name, None)
        },
        "libraries": _libraries(torch),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _flags() -> list[str]:
    wide = re.compile(r"^(avx|amx|sve|asimd|fma|f16c|bf16|i8mm)")
    return sorted(flag for flag in cpu_facts().get("flags", "").split() if wide.match(flag))


def _libraries(torch: Any) -> list[str]:
    shown = getattr(getattr(torch, "__config__", None), "show", None)
    lines = shown().splitlines() if shown else []
    picked = [line.strip(" -") for line in lines if any(name in line for name in _LIBRARIES)]
    return [re.sub(r"(/[\w.\-]+){2,}", "...", line)[:120] for line in picked]
