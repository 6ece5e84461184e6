"""A scenario as a user writes it: one YAML key is one field, same name, same nesting.

Physical quantities have no default where a default would flatter prefill-decode: a link, a lease, a
pool, a price is stated or is an error. What may be left out is said in the field's line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Literal

from hetsim.spec import spec
from hetsim.topology import NetworkSpec
from hetsim.workload import AnyWorkload

if TYPE_CHECKING:
    Bytes = BytesPerSecond = Seconds = UsdPerHour = float
    Count = int
    Fraction = float
else:
    from pydantic import Field

    from hetsim.spec._check import Bytes, BytesPerSecond, Seconds, UsdPerHour

    Count = Annotated[int, Field(ge=1, le=1_000_000)]
    Fraction = Annotated[float, Field(gt=0.0, le=1.0)]

__all__ = [
    "Boundary",
    "ConstantCosts",
    "Fault",
    "Limits",
    "Parallel",
    "Pool",
    "PrecisionSpec",
    "RooflineCosts",
    "Scenario",
    "Slo",
]


@spec
class Parallel:
    """How one instance is cut: devices = tp * pp * dp; experts run over tp * dp ranks."""

    tp: Count = 1
    pp: Count = 1
    dp: Count = 1
    """Attention data parallel inside one engine."""
    ep: Count = 1
    """Expert parallel degree; must divide tp * dp."""


@spec
class PrecisionSpec:
    """Number formats by role, by name."""

    weights: str
    compute: str
    kv: str
    activations: str | None = None
    attention_weights: str | None = None


@spec(kind="roofline", family="estimator")
class RooflineCosts:
    """Calibrated rooflines of the pool's accelerator (the usual)."""

    kind: Literal["roofline"] = "roofline"


@spec(kind="constant", family="estimator")
class ConstantCosts:
    """Constant step times, for checks against closed forms of queues. Not a device."""

    kind: Literal["constant"] = "constant"
    prefill: Seconds
    """One step that computes prompts, whatever their length."""
    decode_step: Seconds
    blocks: Count
    """KV blocks of an instance."""


if TYPE_CHECKING:
    Estimator = RooflineCosts | ConstantCosts
else:
    Estimator = Annotated[RooflineCosts | ConstantCosts, Field(discriminator="kind")]


@spec
class Pool:
    """Equal instances that do one stage, or both."""

    role: Literal["prefill", "decode", "both"]
    accelerator: str
    """A name of ``hetsim profiles``, or a path to a profile of your own."""
    instances: Count
    parallel: Parallel
    precision: PrecisionSpec
    runtime: str
    """A runtime preset of ``hetsim profiles``."""
    router: Literal[
        "round_robin", "least_load", "prefix_aware", "kv_aware", "shared_queue"
    ] = "least_load"
    estimator: Estimator = RooflineCosts()
    devices_per_node: Count | None = None
    """Left out: the usual server of the accelerator (its scale-up domain, at most 8)."""
    host: str | None = None
    """A host profile, for power and price; left out: the usual one of the accelerator."""
    max_seqs: Count | None = None
    """Left out: the runtime's."""
    max_batched_tokens: Count | None = None
    block_tokens: Count | None = None
    memory_utilisation: Fraction | None = None
    reserve: Bytes | None = None
    """Memory of a device outside weights, activations and KV; left out: the runtime's."""
    prefix_caching: bool = False
    preempt: Literal["recompute", "swap"] | None = None
    """Left out: what the runtime does."""
    queue_limit: Count | None = None
    """Requests waiting for an instance of this pool before new ones are rejected; none = no limit."""
    queue_timeout: Seconds | None = None
    """A request that waits longer for its prefill is timed out; none = never."""


@spec
class Boundary:
    """The hand-off between prefill and decode."""

    ownership: str | None = None
    """A protocol of kv_boundary (pull_lease, rendezvous_chunk_push, ...); left out: the runtime's."""
    variant: str | None = None
    lease: Seconds | None = None
    wire: str | None = None
    """Number format on the wire; left out: the producer's KV format."""
    convert_at: Literal["producer", "consumer"] | None = None
    """Must be stated when formats differ."""
    granularity: Literal["request", "chunk", "layer"] | None = None
    on_error: Literal["fail", "recompute"] | None = None
    transfer_engine: str | None = None
    """A transfer engine of ``hetsim profiles``; left out: the usual one of the runtime."""
    control_latency: Seconds | None = None
    """One way between router and instances; left out: that of the network path."""


@spec
class Slo:
    """Service level objectives; attainment counts requests that meet all of them."""

    ttft: Seconds
    tpot: Seconds
    e2e: Seconds | None = None
    percentile: Annotated[float, "percent"] = 99.0


@spec
class Fault:
    """Something breaks at a time."""

    kind: Literal["prefill_crash", "decode_crash", "link_slow"]
    at: Seconds
    instance: int = 0
    pool: str | None = None
    restart_after: Seconds | None = None
    """None: stays down."""
    factor: Fraction | None = None
    """``link_slow``: what is left of the instance's port rate."""
    duration: Seconds | None = None


@spec
class Limits:
    """A run whose estimate exceeds one of these is refused before it begins."""

    events: Annotated[float, "count"] = 50e6
    rows: Annotated[float, "count"] = 100e6
    memory: Bytes = 8e9


@spec
class Scenario:
    """One design, one workload, one service level."""

    name: str
    description: str = ""
    model: str
    """A built-in model, or a path to a Hugging Face config.json."""
    workload: AnyWorkload
    pools: Mapping[str, Pool]
    network: NetworkSpec | None = None
    """Required when prefill and decode are different pools, or an instance spans nodes."""
    boundary: Boundary | None = None
    """Required when prefill and decode are different pools."""
    slo: Slo
    faults: tuple[Fault, ...] = ()
    prices: Mapping[str, UsdPerHour] = field(default_factory=dict)
    """Per accelerator-hour, by accelerator name or pool name; overrides the profile's."""
    horizon: Seconds | None = None
    """End of the simulation; left out: when the last request has ended."""
    limits: Limits = Limits()
    seed: Annotated[int, "seed"] = 0

