"""Nominal values that efficiencies are fractions of, caches that decide what was warm, blocks."""

from __future__ import annotations

from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec

__all__ = ["Nominal", "nominal_of"]

_CACHE_BYTES = {
    "a100-sxm4-80": 40e6,
    "h100-sxm": 50e6,
    "h200-sxm": 50e6,
    "b200-sxm": 126e6,
    "b300-sxm": 126e6,
    "gb200": 126e6,
    "gb300": 126e6,
    "l40s": 96e6,
    "rtxpro6000-server": 128e6,
    "arc-pro-b60": 18e6,
    "mi300x": 256e6,
    "mi308x": 256e6,
    "mi355x": 256e6,
    "mi210": 8e6,
}
"""Last-level cache of a device.

Source: vendors' architecture notes: NVIDIA Ampere 2020, Hopper 2022, Ada 2022 and Blackwell 2024-25
(B200: two dies of 63 MB), Intel Battlemage 2024, AMD CDNA2 2021 and CDNA3/4 2023-25 (Infinity
Cache). A benchmark that repeats a kernel finds its operands there; serving does not.
"""

_BLOCKS = {
    "a100-sxm4-80": 108,
    "a40": 84,
    "rtxa6000": 84,
    "h100-sxm": 132,
    "h200-sxm": 132,
    "b200-sxm": 148,
    "b300-sxm": 148,
    "gb200": 148,
    "gb300": 152,
    "l40s": 142,
    "rtxpro6000-server": 188,
    "arc-pro-b60": 160,
    "mi300x": 304,
    "mi308x": 80,
    "mi355x": 256,
}
"""Multiprocessors: how many tiles of a projection are computed at once.

Source: vendors' architecture notes, as above (NVIDIA: streaming multiprocessors in operation; AMD:
compute units; Intel Battlemage: 20 cores of 8 vector engines, each with its matrix unit).
"""

_ROOF_OF_SOFTWARE = "bf16"
"""Roof of a format that the device has no matrix unit for: its kernels compute in 16 bit."""


@spec
class Nominal:
    """What a device nominally offers, as far as a fit needs it."""

    name: str
    bandwidth_bytes_per_s: float
    peaks_flop_per_s: dict[str, float]
    cache_bytes: float
    blocks: float = 0.0
    """Tiles of a projection that are computed at once; 0 if not known."""

    @property
    def cache_capacity_bytes(self) -> float:
        """The cache as the driver counts it: vendors' megabytes of cache are binary ones."""
        return self.cache_bytes * 2**20 / 1e6

    def peak(self, roof: str) -> float:
        """Return the peak at ``roof``, or of 16-bit arithmetic where the device lacks it."""
        found = self.peaks_flop_per_s.get(roof)
        return found if found is not None else self.peaks_flop_per_s[_ROOF_OF_SOFTWARE]

    def has(self, roof: str) -> bool:
        """Whether the device computes natively at ``roof``."""
        return roof in self.peaks_flop_per_s


def nominal_of(accelerator: str) -> Nominal:
    """Return the nominal values of an accelerator profile.

    Raises
    ------
    ScenarioError
        If there is no such profile, or it lacks the 16-bit peak or the memory bandwidth.
    """
    from hetsim.hardware import get_accelerator

    device = get_accelerator(accelerator)
    bandwidth = device.require("memory_bytes_per_s", "fitting efficiencies")
    peaks = {roof: float(value) for roof, value in sorted(device.peaks_flop_per_s.items())}
    if "bf16" not in peaks and "fp16" in peaks:
        peaks["bf16"] = peaks["fp16"]
    if "bf16" not in peaks:
        raise ScenarioError(Problem(f"accelerator {device.name}: its 16-bit peak is not known"))
    cache = _CACHE_BYTES.get(device.name, 0.0)
    return Nominal(
        name=device.name,
        bandwidth_bytes_per_s=bandwidth,
        peaks_flop_per_s=peaks,
        cache_bytes=cache,
        blocks=float(_BLOCKS.get(device.name, 0)),
    )
