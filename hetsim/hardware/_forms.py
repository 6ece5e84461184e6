"""The files of ``hardware_profiles`` as types: a YAML key is a field, quantities carry units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from hetsim.hardware._types import Confidence, Seller, Source
from hetsim.spec import spec
from hetsim.spec._check import (
    Bytes,
    BytesPerSecond,
    FlopPerSecond,
    Seconds,
    UsdPerHour,
    Watts,
)

__all__ = ["ACCELERATOR_NUMBERS", "HOST_NUMBERS", "LINK_NUMBERS", "AcceleratorForm", "HostForm"]
__all__ += ["LinkForm", "PowerForm", "SourceEntry"]

Roof = Literal["fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4", "int4"]


@spec
class SourceEntry:
    """One key of ``sources.yaml``: what it is, which version, of what date."""

    what: str
    version: str = ""
    date: str = ""


@spec
class MemoryForm:
    """Device memory."""

    kind: str
    size: Bytes | None = None
    usable: Bytes | None = None
    bandwidth: BytesPerSecond | None = None


@spec
class ScaleUpForm:
    """Links between the accelerators of one domain; rates per accelerator and direction.

    With topology ``none`` there is nothing to state; the rates become 0 and the domain 1.
    """

    link: str
    topology: Literal["switched", "mesh", "torus", "pcie", "none", "unknown"]
    aggregate: BytesPerSecond | None = None
    per_peer: BytesPerSecond | None = None
    domain: int | None = None


@spec
class HostLinkForm:
    """The way to the CPU."""

    link: str = "unknown"
    bandwidth: BytesPerSecond | None = None


@spec
class NicForm:
    """The usual network card of one accelerator."""

    rate: BytesPerSecond | None = None
    rdma_to_device: Literal["yes", "no", "limited", "unknown"] = "unknown"


@spec
class DrawForm:
    """Power of the device."""

    tdp: Watts | None = None
    idle: Watts | None = None


@spec
class PriceForm:
    """Rent per hour, as a range over sellers of one kind."""

    low: UsdPerHour
    high: UsdPerHour
    seller: Seller = "own"
    note: str = ""


@spec
class AcceleratorForm:
    """``accelerators/<name>.yaml``."""

    name: str
    title: str
    vendor: str
    family: str
    form_factor: str = ""
    status: Literal["shipping", "announced", "withdrawn"]
    confidence: Confidence
    aliases: tuple[str, ...] = ()
    native_formats: tuple[str, ...]
    peaks: Mapping[Roof, FlopPerSecond]
    memory: MemoryForm
    scale_up: ScaleUpForm
    host: HostLinkForm = HostLinkForm()
    nic: NicForm = NicForm()
    power: DrawForm = DrawForm()
    price: PriceForm | None = None
    sources: Mapping[str, Source]
    doubts: tuple[str, ...] = ()


@spec
class LinkForm:
    """``links/<name>.yaml``."""

    name: str
    title: str
    rate: BytesPerSecond
    latency: Seconds
    confidence: Confidence
    sources: Mapping[str, Source]
    doubts: tuple[str, ...] = ()


@spec
class HostForm:
    """``hosts/<name>.yaml``; power and price are those of the server without its accelerators."""

    name: str
    title: str
    accelerator: str | None = None
    devices_per_node: int
    nics_per_node: int | None = None
    nic_rate: BytesPerSecond | None = None
    idle: Watts
    max: Watts
    nic_power: Watts
    memory: Bytes
    price: UsdPerHour | None = None
    price_includes_host: bool
    sources: Mapping[str, Source]
    doubts: tuple[str, ...] = ()


@spec
class IdleRatio:
    """Idle power over TDP of a family, with its reason."""

    ratio: float
    source: Source


@spec
class PowerForm:
    """``power.yaml``: what is taken where no document gives an idle power."""

    idle_over_tdp: Mapping[str, IdleRatio]


ACCELERATOR_NUMBERS = {
    "memory.size": "memory_bytes",
    "memory.usable": "memory_usable_bytes",
    "memory.bandwidth": "memory_bytes_per_s",
    "scale_up.aggregate": "scale_up.aggregate_bytes_per_s",
    "scale_up.per_peer": "scale_up.per_peer_bytes_per_s",
    "scale_up.domain": "scale_up.domain",
    "host.bandwidth": "host_bytes_per_s",
    "nic.rate": "nic_bytes_per_s",
    "power.tdp": "tdp_w",
    "power.idle": "idle_w",
    "price.low": "price.low_usd_per_h",
    "price.high": "price.high_usd_per_h",
}
"""Where each number stands in the file, and which field of ``Accelerator`` it becomes."""

LINK_NUMBERS = {"rate": "bytes_per_s", "latency": "latency_s"}

HOST_NUMBERS = {
    "devices_per_node": "devices_per_node",
    "nics_per_node": "nics_per_node",
    "nic_rate": "nic_bytes_per_s",
    "idle": "idle_w",
    "max": "max_w",
    "nic_power": "nic_w",
    "memory": "memory_bytes",
    "price": "price_usd_per_h",
}
