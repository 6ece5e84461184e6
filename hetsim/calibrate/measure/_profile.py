"""The profile of a device that hetsim does not know, from what was measured on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._write import publish
from hetsim.calibrate.measure._device import Device, cpu_facts

if TYPE_CHECKING:
    import pandas as pd

    from hetsim.hardware import Accelerator

__all__ = ["MARGIN", "peaks_of", "profile_text", "write_profile"]

MARGIN = 1.5
"""Nominal over the best that was measured. Kernels reach about two thirds of a CPU's arithmetic
peak; the margin also keeps a quieter machine from exceeding its own nominal values. Efficiencies
absorb it, so that no predicted time depends on it."""
_ROOFS = {"fp32": "fp32", "tf32": "tf32", "bf16": "bf16", "fp8_e4m3": "fp8", "int8": "int8"}
_LEAST_FLOP = 1e7
_CPU_LINES = ['nic: {rdma_to_device: "yes"}']
"""The memory of a CPU is the host's: a network card reads it without a copy."""
_MEASURED = "measured"
"""Kind of memory of a profile that a measurement wrote, and may write again."""
_FAMILIES = {"AuthenticAMD": "zen", "GenuineIntel": "xeon"}


def peaks_of(table: pd.DataFrame, cache_bytes: float) -> tuple[dict[str, float], float]:
    """Return the best FLOP/s by roof and the best byte/s from memory, without a margin.

    A roof below that of the next wider format is left out: the format is not native there.
    """
    gemms = table[(table["kind"] == "gemm") & (table["flops"] > _LEAST_FLOP)]
    gemms = gemms[gemms["time_s"] > 0.0]
    peaks: dict[str, float] = {}
    below = 0.0
    for fmt, roof in _ROOFS.items():
        part = gemms[gemms["format"] == fmt]
        rate = float((part["flops"] / part.groupby("point")["time_s"].transform("median")).max())
        if rate > below:
            peaks[roof] = below = rate
    streams = table[table["kind"].isin(["bandwidth", "copy"]) & (table["bytes"] > cache_bytes)]
    streams = streams[streams["time_s"] > 0.0]
    times = streams.groupby("point")["time_s"].transform("median")
    return peaks, float((streams["bytes"] / times).max())


def _quantity(value: float, unit: str) -> str:
    return f"{float(f'{value:.3g}'):g} {unit}"


def profile_text(
    device: Device, table: pd.DataFrame, date: str, old: Accelerator | None = None
) -> str:
    """Return the YAML text of ``hardware_profiles/accelerators/<name>.yaml``.

    Nominal values are at least those of ``old``: a busier machine does not lower them.
    """
    peaks, bandwidth = peaks_of(table, device.cache_bytes)
    if old is not None:
        stated = {roof: value / MARGIN for roof, value in old.peaks_flop_per_s.items()}
        peaks = {
            roof: max(peaks.get(roof, 0.0), stated.get(roof, 0.0))
            for roof in _ROOFS.values()
            if roof in peaks or roof in stated
        }
        bandwidth = max(bandwidth, (old.memory_bytes_per_s or 0.0) / MARGIN)
    formats = [fmt for fmt, roof in _ROOFS.items() if roof in peaks]
    vendor = _vendor(device)
    said = f"best measured kernel times {MARGIN:g}"
    one = f"{device.threads} thread{'s' if device.threads > 1 else ''}"
    title = device.title if device.accelerated else f"{device.title} ({one})"
    source = f'keys: [HSM], date: "{date}", grade: derived, note: "{said}"'
    memory = f'keys: [HSM], date: "{date}", note: "as the system reports it"'
    lines = [
        f"name: {device.slug}",
        f'title: "{title}"',
        f"vendor: {vendor[0]}",
        f"family: {vendor[1]}",
        f'form_factor: "{"accelerator" if device.accelerated else "threads of a CPU"}"',
        "status: shipping",
        "confidence: low",
        f"native_formats: [{', '.join(formats)}]",
        "peaks:",
        *(
            f"  {roof}: {_quantity(MARGIN * rate / 1e12, 'TFLOP/s')}"
            for roof, rate in peaks.items()
        ),
        f"memory: {{kind: {_MEASURED}, size: {_quantity(device.memory_bytes / 1e9, 'GB')}, "
        f"bandwidth: {_quantity(MARGIN * bandwidth / 1e9, 'GB/s')}}}",
        "scale_up: {link: none, topology: none}",
        *([] if device.accelerated else _CPU_LINES),
        "sources:",
        f"  default: {{{source}}}",
        f"  memory.size: {{{memory}}}",
        "doubts:",
        f'  - "peaks and bandwidth are {said}: no datasheet was read"',
    ]
    return "\n".join(lines) + "\n"


def _vendor(device: Device) -> tuple[str, str]:
    if device.accelerated:
        return device.title.split()[0], device.place
    found = cpu_facts().get("vendor_id", "unknown")
    names = {"AuthenticAMD": "AMD", "GenuineIntel": "Intel"}
    return names.get(found, found), _FAMILIES.get(found, "cpu")


def write_profile(device: Device, table: pd.DataFrame, out: Path, date: str) -> Path | None:
    """Write a profile of an unknown device and return where; None if it stands already.

    It lies beside the other profiles if ``out`` is a folder of a checkout's calibrations, else in
    ``out/accelerator``, from where a copy makes it known. One that was measured earlier is raised
    where this measurement was faster; one from a datasheet is left alone.
    """
    from hetsim.hardware import accelerator_names, load_accelerator_file

    beside = out.resolve().parent.parent / "hardware_profiles" / "accelerators"
    folder = beside if beside.is_dir() else out / "accelerator"
    path = folder / f"{device.slug}.yaml"
    if not _enough(table) or (not path.exists() and device.slug in accelerator_names()):
        return None
    old = load_accelerator_file(path) if path.exists() else None
    if old is not None and old.memory_kind != _MEASURED:
        return None
    text = profile_text(device, table, date, old)
    if old is not None and not _raised(path, text):
        return None
    publish(path, text)
    return path


def _raised(path: Path, text: str) -> bool:
    """Whether a new text states other numbers than the file, its dates aside."""

    def numbers(whole: str) -> list[str]:
        start, end = whole.index("peaks:"), whole.index("sources:")
        return whole[start:end].split()

    return numbers(path.read_text(encoding="utf-8")) != numbers(text)


def _enough(table: pd.DataFrame) -> bool:
    kinds: Any = set(table["kind"])
    has = table[(table["kind"] == "gemm") & (table["format"].isin(["bf16", "fp16"]))]
    return "bandwidth" in kinds and bool((has["flops"] > _LEAST_FLOP).any())
