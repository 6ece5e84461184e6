"""The device at hand: its clock, its name, and how one waits for it.

Everything goes through ``torch.accelerator``, so that CUDA, ROCm, XPU, NPU and MPS are one code
path; without an accelerator the CPU is the device.
"""

from __future__ import annotations

import os
import re
import time
from importlib import import_module
from typing import Any

from hetsim.calibrate.measure._types import Call, Reading
from hetsim.errors import HetsimError, Problem, ScenarioError

__all__ = ["Device", "import_torch", "open_device"]

_TORCH = "torch is not installed; measuring needs it: pip install 'hetsim[calibrate]'"
_LLC_BYTES = 64e6
"""Last-level cache of a device that does not say; current ones have about that."""


def import_torch() -> Any:
    """Return the torch module.

    Raises
    ------
    ScenarioError
        If it is not installed; the message says how to.
    """
    try:
        return import_module("torch")
    except ImportError:
        raise ScenarioError(Problem(_TORCH)) from None


class Device:
    """A device, its clock and its properties.

    ``clock`` is ``event`` (device events), ``cpu`` (time that this process computed, which other
    processes cannot stretch; only true for one thread) or ``wall``.
    """

    def __init__(self, torch: Any, accelerator: Any, threads: int) -> None:
        self.torch = torch
        self.place = str(accelerator.type) if accelerator is not None else "cpu"
        self.accelerated = accelerator is not None
        self.threads = threads
        self.clock = "event" if self.accelerated else ("cpu" if threads == 1 else "wall")
        self.module = _module(torch, self.place) if self.accelerated else None
        self._scratch: Any = None

    @property
    def title(self) -> str:
        """The vendor's name of the device."""
        if self.accelerated:
            named = getattr(self.module, "get_device_name", None)
            return str(named()) if named else self.place
        return cpu_title()

    @property
    def slug(self) -> str:
        """The name of its profile: that of a known accelerator, else made from its title."""
        if not self.accelerated:
            return cpu_slug(self.threads)
        return _known(self.title) or _slug(self.title)

    @property
    def memory_bytes(self) -> float:
        """Memory of the device."""
        if self.accelerated:
            return float(getattr(self._properties(), "total_memory", 16e9))
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))

    @property
    def cache_bytes(self) -> float:
        """Last-level cache, as the device says or as usual."""
        if self.accelerated:
            return float(getattr(self._properties(), "L2_cache_size", 0) or _LLC_BYTES)
        return _cpu_cache() or _LLC_BYTES

    @property
    def count(self) -> int:
        """How many devices of this kind there are."""
        counted = getattr(self.module, "device_count", None)
        return int(counted()) if counted else 1

    def _properties(self) -> Any:
        found = getattr(self.module, "get_device_properties", None)
        return found(0) if found else None

    def synchronize(self) -> None:
        """Wait until the device has done all it was given."""
        if self.accelerated:
            self.torch.accelerator.synchronize()

    def read(self, call: Call, first: int, inner: int, *, on_host: bool = False) -> Reading:
        """Return the time of ``inner`` executions, per execution."""
        if not self.accelerated or on_host or self.clock == "wall":
            return self._host_read(call, first, inner)
        try:
            return self._event_read(call, first, inner)
        except RuntimeError:
            # Some back ends have events without times.
            self.clock = "wall"
            return self._host_read(call, first, inner)

    def _host_read(self, call: Call, first: int, inner: int) -> Reading:
        self.synchronize()
        wall, cpu = time.perf_counter(), time.process_time()
        for i in range(first, first + inner):
            call(i)
        self.synchronize()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        chosen = cpu if self.clock == "cpu" else wall
        return Reading(chosen / inner, wall / inner, cpu / inner)

    def _event_read(self, call: Call, first: int, inner: int) -> Reading:
        event = self.torch.Event
        pairs = [(event(enable_timing=True), event(enable_timing=True)) for _ in range(inner)]
        wall, cpu = time.perf_counter(), time.process_time()
        for i, (start, end) in enumerate(pairs):
            self._flush()
            start.record()
            call(first + i)
            end.record()
        cpu = time.process_time() - cpu  # the host's share: filling the queue
        self.synchronize()
        wall = time.perf_counter() - wall
        spent = sum(start.elapsed_time(end) for start, end in pairs) * 1e-3
        return Reading(spent / inner, wall / inner, cpu / inner)

    def _flush(self) -> None:
        """Overwrite the cache, outside of the timed part."""
        if self._scratch is None:
            size = int(2 * self.cache_bytes)
            self._scratch = self.torch.empty(size, dtype=self.torch.int8, device=self.place)
        self._scratch.zero_()


def open_device(
    name: str = "auto", *, threads: int | None = None, torch: Any = None, pin: bool = True
) -> Device:
    """Return the device called ``name``: ``auto``, ``cpu`` or a back end such as ``cuda``.

    A CPU is measured on one thread unless told otherwise, and the process is pinned to as many
    cores unless told not to.

    Raises
    ------
    ScenarioError
        If torch is not installed, or there is no such device.
    """
    torch = torch or import_torch()
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    have = [str(found.type), "cpu"] if found is not None else ["cpu"]
    wanted = have[0] if name == "auto" else name
    if wanted not in have:
        raise ScenarioError(Problem(f"no device {name!r} here; there is: auto, {', '.join(have)}"))
    count = threads or 1
    accelerator = found if found is not None and wanted == str(found.type) else None
    if accelerator is None and pin:
        _pin(torch, count)
    return Device(torch, accelerator, count)


def _pin(torch: Any, threads: int) -> None:
    """Stay on the last cores, since the first ones serve interrupts."""
    if hasattr(os, "sched_getaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        if threads > len(allowed):
            raise ScenarioError(
                Problem(f"{threads} threads asked for; {len(allowed)} cores may be used", "threads")
            )
        os.sched_setaffinity(0, allowed[-threads:])
    torch.set_num_threads(threads)


def _module(torch: Any, place: str) -> Any:
    try:
        return torch.get_device_module(place)
    except (RuntimeError, AttributeError):
        return None


def _slug(title: str) -> str:
    plain = re.sub(r"\((r|tm|c)\)|@.*|processor|cpu|family|model", " ", title.lower())
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "device"


def _known(title: str) -> str | None:
    from hetsim.hardware import get_accelerator

    words = title.split()
    for stop in range(len(words), 0, -1):
        for start in (0, 1):
            try:
                return get_accelerator(" ".join(words[start:stop])).name
            except HetsimError:
                continue
    return None


def cpu_title() -> str:
    """Return the name of the processor; family and model where the name alone says nothing."""
    facts = cpu_facts()
    name = facts.get("model name", "")
    if not re.search(r"\d", name):
        family, model = facts.get("cpu family", "?"), facts.get("model", "?")
        name = f"{name or facts.get('vendor_id', 'CPU')} (family {family}, model {model})"
    if not name:
        import platform

        name = platform.processor() or platform.machine()
    return name


def cpu_slug(threads: int) -> str:
    """Return the name of the profile of some threads of this processor."""
    return f"cpu-{_slug(cpu_title())}-{threads}t"


def cpu_facts() -> dict[str, str]:
    """Return what Linux says about the first core; empty elsewhere."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            text = file.read().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in text.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def _cpu_cache() -> float:
    """Return the size of the last-level cache that Linux states, or 0."""
    from pathlib import Path

    best = 0.0
    for file in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size")):
        text = file.read_text().strip()
        scale = {"K": 1024.0, "M": 1024.0**2}.get(text[-1:], 0.0)
        best = max(best, float(text[:-1]) * scale if scale else 0.0)
    return best
