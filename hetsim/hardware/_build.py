"""From the form of a file to the type that hetsim computes with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

from hetsim.errors import ScenarioError, nearest
from hetsim.hardware._forms import (
    ACCELERATOR_NUMBERS,
    HOST_NUMBERS,
    LINK_NUMBERS,
    AcceleratorForm,
    HostForm,
    IdleRatio,
    LinkForm,
    PriceForm,
    ScaleUpForm,
)
from hetsim.hardware._provenance import Reader
from hetsim.hardware._types import Accelerator, Host, Link, Price, ScaleUp, Source
from hetsim.precision import FORMATS
from hetsim.spec._check import build
from hetsim.spec._yaml import read_yaml

__all__ = ["read_accelerator", "read_host", "read_link"]

T = TypeVar("T")
Keys = Collection[str] | None

_USABLE_OVER_SOLD = 1.12
"""A 'GB' that is a GiB is 1.074 times larger; anything beyond this is a mistyped unit."""


def _open(form: type[T], path: Path, known: Keys) -> tuple[T, Reader]:
    data, marks = read_yaml(path)
    return build(form, data, marks, str(path)), Reader(data, marks, str(path), known)


def _close(reader: Reader) -> None:
    if reader.problems:
        raise ScenarioError(reader.problems)


def read_accelerator(
    path: Path, known: Keys = None, idle: Mapping[str, IdleRatio] | None = None
) -> Accelerator:
    """Return the accelerator that a file describes.

    ``idle`` gives, by family, the idle power over TDP that is assumed where the file states none.

    Raises
    ------
    ScenarioError
        With every problem, each with file, line and path.
    """
    form, reader = _open(AcceleratorForm, path, known)
    peaks = {f"peaks.{roof}": f"peaks_flop_per_s.{roof}" for roof in form.peaks}
    sources = reader.sources_of(form.sources, {**peaks, **ACCELERATOR_NUMBERS})
    _check_accelerator(form, reader)
    _close(reader)
    idle_w = form.power.idle
    assumed = (idle or {}).get(form.family)
    if idle_w is None and form.power.tdp is not None and assumed is not None:
        idle_w = assumed.ratio * form.power.tdp
        sources["idle_w"] = assumed.source
    return _accelerator(form, sources, idle_w)


def _accelerator(
    form: AcceleratorForm, sources: Mapping[str, Source], idle_w: float | None
) -> Accelerator:
    memory = form.memory
    return Accelerator(
        name=form.name,
        title=form.title,
        vendor=form.vendor,
        family=form.family,
        form_factor=form.form_factor,
        status=form.status,
        confidence=form.confidence,
        peaks_flop_per_s={str(roof): peak for roof, peak in form.peaks.items()},
        native_formats=form.native_formats,
        memory_bytes=memory.size,
        memory_usable_bytes=memory.usable,
        memory_bytes_per_s=memory.bandwidth,
        memory_kind=memory.kind,
        scale_up=_scale_up(form.scale_up),
        host_link=form.host.link,
        host_bytes_per_s=form.host.bandwidth,
        nic_bytes_per_s=form.nic.rate,
        rdma_to_device=form.nic.rdma_to_device,
        tdp_w=form.power.tdp,
        idle_w=idle_w,
        price=_price(form.price, sources),
        aliases=form.aliases,
        doubts=form.doubts,
        sources=sources,
    )


def _scale_up(form: ScaleUpForm) -> ScaleUp:
    alone = form.topology == "none"
    return ScaleUp(
        link=form.link,
        topology=form.topology,
        aggregate_bytes_per_s=0.0 if alone else form.aggregate,
        per_peer_bytes_per_s=0.0 if alone else form.per_peer,
        domain=1 if alone else form.domain,
    )


def _price(form: PriceForm | None, sources: Mapping[str, Source]) -> Price | None:
    if form is None:
        return None
    date = sources["price.low_usd_per_h"].date
    return Price(
        low_usd_per_h=form.low,
        high_usd_per_h=form.high,
        seller=form.seller,
        date=date,
        note=form.note,
    )


def _check_accelerator(form: AcceleratorForm, reader: Reader) -> None:
    for name in form.native_formats:
        if name not in FORMATS:
            reader.problem("native_formats", f"no format {name!r}; {nearest(name, FORMATS)}")
    _check_memory_and_power(form, reader)
    _check_scale_up(form.scale_up, reader)
    if form.price is not None and form.price.low > form.price.high:
        reader.problem("price.low", "exceeds the high end of the range")


def _check_memory_and_power(form: AcceleratorForm, reader: Reader) -> None:
    size, usable = form.memory.size, form.memory.usable
    for path, value in (
        ("memory.size", size),
        ("memory.usable", usable),
        ("power.tdp", form.power.tdp),
    ):
        if value == 0:
            reader.problem(path, "is 0; leave it out if it is not known")
    if size is not None and usable is not None and usable > _USABLE_OVER_SOLD * size:
        reader.problem("memory.usable", "exceeds the size by more than GiB over GB can explain")
    tdp, idle = form.power.tdp, form.power.idle
    if tdp is not None and idle is not None and idle > tdp:
        reader.problem("power.idle", "exceeds the TDP")


def _check_scale_up(form: ScaleUpForm, reader: Reader) -> None:
    aggregate, per_peer, domain = form.aggregate, form.per_peer, form.domain
    if form.topology == "none" and (aggregate, per_peer, domain) != (None, None, None):
        reader.problem("scale_up.topology", "is 'none', so there are no rates and no domain")
    if aggregate is not None and per_peer is not None and per_peer > aggregate:
        reader.problem("scale_up.per_peer", "exceeds the aggregate to all peers together")
    if domain is not None and domain < 1:
        reader.problem("scale_up.domain", f"is {domain}; must be at least 1")


def read_link(path: Path, known: Keys = None) -> Link:
    """Return the link that a file describes; errors as :func:`read_accelerator`."""
    form, reader = _open(LinkForm, path, known)
    sources = reader.sources_of(form.sources, LINK_NUMBERS)
    _close(reader)
    return Link(
        name=form.name,
        title=form.title,
        bytes_per_s=form.rate,
        latency_s=form.latency,
        confidence=form.confidence,
        sources=sources,
        doubts=form.doubts,
    )


def read_host(path: Path, known: Keys = None) -> Host:
    """Return the server that a file describes; errors as :func:`read_accelerator`."""
    form, reader = _open(HostForm, path, known)
    sources = reader.sources_of(form.sources, HOST_NUMBERS)
    for field in ("devices_per_node", "nics_per_node"):
        count = getattr(form, field)
        if count is not None and count < (field == "devices_per_node"):
            reader.problem(field, f"is {count}; too few")
    if form.idle > form.max:
        reader.problem("idle", "exceeds the power under load")
    _close(reader)
    return Host(
        name=form.name,
        title=form.title,
        accelerator=form.accelerator,
        devices_per_node=form.devices_per_node,
        nics_per_node=form.nics_per_node,
        nic_bytes_per_s=form.nic_rate,
        idle_w=form.idle,
        max_w=form.max,
        nic_w=form.nic_power,
        memory_bytes=form.memory,
        price_usd_per_h=form.price,
        price_includes_host=form.price_includes_host,
        sources=sources,
        doubts=form.doubts,
    )
