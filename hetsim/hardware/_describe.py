"""A profile as rows for people: what, how much, from where, how sure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hetsim.hardware._types import Accelerator, Host, Link
from hetsim.units import format_bytes, format_seconds

__all__ = ["Row", "describe"]


class Row(NamedTuple):
    """One line of a description; ``source`` and ``grade`` are empty where nothing is claimed."""

    field: str
    value: str
    source: str
    grade: str


_UNKNOWN = "unknown"

_UNITS: dict[str, Callable[[float], str]] = {
    "flop": lambda value: f"{value / 1e12:.5g} TFLOP/s",
    "bytes": format_bytes,
    "rate": lambda value: f"{format_bytes(value)}/s",
    "watts": lambda value: f"{value:.4g} W",
    "dollars": lambda value: f"{value:.4g} USD/h",
    "seconds": format_seconds,
    "count": lambda value: f"{value:.0f}",
}


def _text(field: str, value: str) -> Row:
    return Row(field, value or "-", "", "")


def _number(
    profile: Accelerator | Link | Host, field: str, value: float | None, unit: str, key: str
) -> Row:
    """Return the row of a number; one without a source is said to be unknown, not left out."""
    if value is None:
        return Row(field, _UNKNOWN, "", "")
    source = profile.sources.get(key)
    if source is None:
        return Row(field, _UNITS[unit](value), "", "")
    where = "; ".join(part for part in (", ".join(source.keys), source.note) if part)
    return Row(field, _UNITS[unit](value), f"{where} ({source.date})", source.grade)


def describe(profile: Accelerator | Link | Host) -> list[Row]:
    """Return a profile as rows: names first, then numbers with their sources, then doubts.

    >>> from hetsim.hardware import get_accelerator
    >>> [row.value for row in describe(get_accelerator("h800")) if row.field == "scale-up, all"]
    ['200 GB/s']
    """
    if isinstance(profile, Accelerator):
        rows = _accelerator(profile)
    elif isinstance(profile, Link):
        rows = _link(profile)
    else:
        rows = _host(profile)
    return rows + [_text("doubt", doubt) for doubt in profile.doubts]


def _accelerator(device: Accelerator) -> list[Row]:
    names = [
        ("name", device.name),
        ("title", device.title),
        ("also called", ", ".join(device.aliases)),
        ("vendor", device.vendor),
        ("family", device.family),
        ("form factor", device.form_factor),
        ("status", device.status),
        ("confidence", device.confidence),
        ("native formats", ", ".join(device.native_formats)),
    ]
    peaks = [
        _number(device, f"peak {roof}", peak, "flop", f"peaks_flop_per_s.{roof}")
        for roof, peak in device.peaks_flop_per_s.items()
    ]
    return [_text(*pair) for pair in names] + peaks + _memory_and_links(device) + _costs(device)


def _memory_and_links(device: Accelerator) -> list[Row]:
    up = device.scale_up

    def rate(field: str, value: float | None, key: str) -> Row:
        return _number(device, field, value, "rate", key)

    return [
        _text("memory kind", device.memory_kind),
        _number(device, "memory, as sold", device.memory_bytes, "bytes", "memory_bytes"),
        _number(
            device, "memory, usable", device.memory_usable_bytes, "bytes", "memory_usable_bytes"
        ),
        rate("memory bandwidth", device.memory_bytes_per_s, "memory_bytes_per_s"),
        _text("scale-up link", f"{up.link} ({up.topology})"),
        rate("scale-up, all", up.aggregate_bytes_per_s, "scale_up.aggregate_bytes_per_s"),
        rate("scale-up, one peer", up.per_peer_bytes_per_s, "scale_up.per_peer_bytes_per_s"),
        _number(device, "scale-up domain", up.domain, "count", "scale_up.domain"),
        _text("host link", device.host_link),
        rate("host bandwidth", device.host_bytes_per_s, "host_bytes_per_s"),
        rate("NIC", device.nic_bytes_per_s, "nic_bytes_per_s"),
        _text("RDMA to device", device.rdma_to_device),
    ]


_SELLERS = {
    "specialist cloud": "a cloud of accelerators, on demand",
    "hyperscaler": "a large general cloud, list price (about twice a specialist's)",
    "own": "whoever made the offer in this profile",
}


def _costs(device: Accelerator) -> list[Row]:
    price = device.price
    low = price.low_usd_per_h if price else None
    seller = [_text("price asked by", _SELLERS[price.seller])] if price else []
    high = price.high_usd_per_h if price else None
    return [
        _number(device, "power, TDP", device.tdp_w, "watts", "tdp_w"),
        _number(device, "power, idle", device.idle_w, "watts", "idle_w"),
        _number(device, "price, low", low, "dollars", "price.low_usd_per_h"),
        _number(device, "price, high", high, "dollars", "price.high_usd_per_h"),
        *seller,
    ]


def _link(link: Link) -> list[Row]:
    return [
        _text("name", link.name),
        _text("title", link.title),
        _text("confidence", link.confidence),
        _number(link, "line rate", link.bytes_per_s, "rate", "bytes_per_s"),
        _number(link, "base latency", link.latency_s, "seconds", "latency_s"),
    ]


def _host(host: Host) -> list[Row]:
    price, included = host.price_usd_per_h, "yes" if host.price_includes_host else "no"
    return [
        _text("name", host.name),
        _text("title", host.title),
        _text("accelerator", host.accelerator or "any"),
        _number(host, "devices", host.devices_per_node, "count", "devices_per_node"),
        _number(host, "NICs", host.nics_per_node, "count", "nics_per_node"),
        _number(host, "NIC rate", host.nic_bytes_per_s, "rate", "nic_bytes_per_s"),
        _number(host, "memory", host.memory_bytes, "bytes", "memory_bytes"),
        _number(host, "power, idle", host.idle_w, "watts", "idle_w"),
        _number(host, "power, load", host.max_w, "watts", "max_w"),
        _number(host, "power of a NIC", host.nic_w, "watts", "nic_w"),
        _number(host, "price", price, "dollars", "price_usd_per_h"),
        _text("in the accelerators' price", included),
    ]
