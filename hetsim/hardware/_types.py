"""What a device, a link and a host offer: nominal values only, never an efficiency."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec

__all__ = ["Accelerator", "Confidence", "Grade", "Host", "Link", "Price", "ScaleUp", "Seller"]
__all__ += ["Source"]

Confidence = Literal["high", "medium", "low"]
Grade = Literal["sourced", "derived", "assumed"]
"""Read in a document; arithmetic on numbers read there; or taken as likely, with a reason."""


@spec
class Source:
    """Where a number was read: keys of the source list, and when."""

    keys: tuple[str, ...]
    date: str
    note: str = ""
    grade: Grade = "sourced"


@spec
class ScaleUp:
    """The link between the accelerators of one domain (NVLink, xGMI, ICI, ...)."""

    link: str
    topology: Literal["switched", "mesh", "torus", "pcie", "none", "unknown"]
    aggregate_bytes_per_s: float | None
    """Per accelerator and direction, to all peers together; 0 where there is none, None where no
    source gives it."""
    per_peer_bytes_per_s: float | None
    """To one peer: the aggregate where a switch joins them, a share of it in a mesh or torus."""
    domain: int | None
    """How many accelerators one domain joins."""


Seller = Literal["specialist cloud", "hyperscaler", "own"]
"""Who rents: a cloud of accelerators (on demand), one of the large general clouds (list price), or
whoever made the offer in a profile of one's own.

The same device costs about twice as much at the latter, so that a comparison must not mix them.
"""


@spec
class Price:
    """What an accelerator costs to rent, per hour, over sellers of one kind, with a date."""

    low_usd_per_h: float
    high_usd_per_h: float
    seller: Seller
    date: str
    note: str = ""

    @property
    def usd_per_h(self) -> float:
        """The middle of the range."""
        return 0.5 * (self.low_usd_per_h + self.high_usd_per_h)


@spec
class Accelerator:
    """One accelerator as its documents describe it. ``None`` means that no source was found."""

    name: str
    title: str
    vendor: str
    family: str
    """Architecture family, for transferring calibrations: ampere, hopper, cdna3, gaudi, ..."""
    form_factor: str = ""
    status: str
    confidence: Confidence
    peaks_flop_per_s: Mapping[str, float]
    """Dense peak by roof (fp32, tf32, bf16, fp16, fp8, int8, fp4, int4); absent = not native, or
    native but without a source."""
    native_formats: tuple[str, ...]
    """Names of :mod:`hetsim.precision` formats that the device computes with."""
    memory_bytes: float | None
    """Capacity as sold; see :attr:`capacity_bytes`."""
    memory_usable_bytes: float | None = None
    """Capacity as the driver reports it, where known. Sellers write GB for what is often GiB."""
    memory_bytes_per_s: float | None
    memory_kind: str
    scale_up: ScaleUp
    host_link: str
    host_bytes_per_s: float | None
    nic_bytes_per_s: float | None
    """Usual NIC line rate per accelerator; a scenario may state another."""
    rdma_to_device: Literal["yes", "no", "limited", "unknown"]
    tdp_w: float | None
    idle_w: float | None = None
    """Power when nothing runs; ``sources["idle_w"].grade`` says whether measured or assumed."""
    price: Price | None
    aliases: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    sources: Mapping[str, Source]
    """Source of every number, by field name (``peaks_flop_per_s.bf16``, ``memory_bytes``, ...)."""

    @property
    def capacity_bytes(self) -> float | None:
        """What the driver offers if that is known, else the capacity as sold."""
        usable = self.memory_usable_bytes
        return self.memory_bytes if usable is None else usable

    def peak(self, roof: str) -> float | None:
        """Return the dense peak in FLOP/s at ``roof``, or None if the device has none."""
        return self.peaks_flop_per_s.get(roof)

    def require(self, field: str, why: str) -> float:
        """Return a number that must be known.

        Raises
        ------
        ScenarioError
            If no source gives it; the message says what it is needed for.
        """
        value = getattr(self, field)
        if value is None:
            raise ScenarioError(
                Problem(f"accelerator {self.name}: {field} has no known source; needed for {why}")
            )
        return float(value)


@spec
class Link:
    """A kind of link: line rate, base latency, where from."""

    name: str
    title: str
    bytes_per_s: float
    """Line rate, one direction."""
    latency_s: float
    """Base latency of one small message, one way; ``sources["latency_s"].grade`` may be assumed."""
    confidence: Confidence
    sources: Mapping[str, Source]
    doubts: tuple[str, ...] = ()


@spec
class Host:
    """The server around the accelerators: power and price beside the devices."""

    name: str
    title: str
    accelerator: str | None = None
    """Name of the accelerator that this server carries, or None for any."""
    devices_per_node: int
    nics_per_node: int | None = None
    nic_bytes_per_s: float | None = None
    """Line rate of one NIC."""
    idle_w: float
    """Power of the server without its accelerators and NICs, when nothing runs."""
    max_w: float
    """The same under load."""
    nic_w: float
    """Power of one NIC."""
    memory_bytes: float
    price_usd_per_h: float | None
    """Price of the server beyond its accelerators, per hour; None where not known apart."""
    price_includes_host: bool = True
    """Whether the accelerator's own price already pays for the server, as cloud prices do."""
    sources: Mapping[str, Source]
    doubts: tuple[str, ...] = ()
