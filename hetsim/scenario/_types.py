"""A scenario as a user writes it: one YAML key is one field, same name, same nesting.

Physical quantities have no default where a default would flatter prefill-decode: a link, a lease, a
pool, a price is stated or is an error. What may be left out is said in the field's line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Literal

from hetsim.residency import Residency
from hetsim.scenario._fault_types import Fault, Placement, Recovery
from hetsim.scenario._names import TITLE_PATTERN, title
from hetsim.spec import spec
from hetsim.topology import NetworkSpec
from hetsim.workload import AnyWorkload

if TYPE_CHECKING:
    Amount = float
    Bytes = float
    Count = int
    Degree = int
    Fraction = float
    Instances = int
    LongerThanZero = float
    Name = str
    Node = int
    Number = int
    Percent = float
    Seconds = float
    Seed = int
    UsdPerHour = float
else:
    from pydantic import AfterValidator, Field

    from hetsim.spec._check import Bytes, Seconds, UsdPerHour, quantity, real, whole

    LongerThanZero = quantity("second", example="2 s", inclusive=False)
    Count = whole(at_least=1, at_most=2**31 - 1)
    Degree = whole(at_least=1, at_most=4096)
    Instances = whole(at_least=1, at_most=10_000)
    Node = whole(at_least=1, at_most=1024)
    Number = whole(at_least=0, at_most=9_999)
    Seed = whole(at_least=0, at_most=2**63 - 1)
    Fraction = real(above=0.0, at_most=1.0)
    Percent = real(above=0.0, at_most=100.0)
    Amount = real(above=0.0)
    Name = Annotated[
        str,
        AfterValidator(title),
        Field(max_length=200, json_schema_extra={"pattern": TITLE_PATTERN}),
    ]

__all__ = [
    "Boundary",
    "ConstantCosts",
    "Fault",
    "Limits",
    "Name",
    "Parallel",
    "Placement",
    "Pool",
    "PrecisionSpec",
    "Recovery",
    "RooflineCosts",
    "Scenario",
    "Slo",
]


@spec
class Parallel:
    """How one instance is cut: devices = tp * pp * dp; experts run over tp * dp ranks."""

    tp: Degree = 1
    """Tensor parallel degree of attention; must divide the model's attention heads."""
    pp: Degree = 1
    """Pipeline stages; at most as many as the model has layers."""
    dp: Degree = 1
    """Attention data parallel inside one engine."""
    ep: Degree = 1
    """Expert parallel degree; must divide tp * dp and the model's experts."""


@spec
class PrecisionSpec:
    """Number formats by role, by name."""

    weights: str
    """Format of the weights in memory: bf16, fp8_e4m3, fp8_block, int4, mxfp4, nvfp4, ..."""
    compute: str
    """Format that matrix products run in; where the device lacks it, the widest that it has."""
    kv: str
    """Format of the KV cache of this pool."""
    activations: str | None = None
    """Format of what an expert exchange moves; left out: that of ``compute``."""
    attention_weights: str | None = None
    """Format of the attention weights where a checkpoint keeps them wider; left out: as
    ``weights``, or what checkpoints of the model's family do."""


@spec(kind="roofline", family="estimator")
class RooflineCosts:
    """Calibrated rooflines of the pool's accelerator (the usual)."""

    kind: Literal["roofline"] = "roofline"


@spec(kind="constant", family="estimator")
class ConstantCosts:
    """Constant step times, for checks against closed forms of queues. Not a device.

    The calibration grade of such a pool is ``stated``.
    """

    kind: Literal["constant"] = "constant"
    prefill: Seconds
    """One step that computes prompts, whatever their length."""
    decode_step: LongerThanZero
    """One step that gives every running request one token, whatever the batch."""
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
    """The stage that this pool does; one pool of role both, or one prefill and one decode."""
    accelerator: str
    """A name of ``hetsim profiles``, or a path to a profile of your own."""
    instances: Instances
    """How many engines of ``parallel`` devices each."""
    parallel: Parallel
    """How one instance is cut into devices."""
    precision: PrecisionSpec
    """Number formats of this pool, by role."""
    runtime: str
    """A runtime preset of ``hetsim profiles``."""
    router: Literal["round_robin", "least_load", "prefix_aware", "kv_aware", "shared_queue"] = (
        "least_load"
    )
    """Who gets a request: turn by turn, the least loaded, the longest cached prefix, load and
    prefix together, or whoever is free first takes it from one queue."""
    estimator: Estimator = RooflineCosts()
    """Where step times come from."""
    devices_per_node: Node | None = None
    """Devices of a server; left out: the usual (a scale-up domain, at most 8)."""
    host: str | None = None
    """A host profile, for power and price; left out: the usual one of the accelerator."""
    max_seqs: Count | None = None
    """Most requests in one step; left out: the runtime's."""
    max_batched_tokens: Count | None = None
    """Most tokens of one step, prompts and decodes together; left out: the runtime's."""
    block_tokens: Count | None = None
    """Tokens of one KV block; left out: the runtime's."""
    memory_utilisation: Fraction | None = None
    """Part of the memory that the engine uses; left out: the runtime's."""
    reserve: Bytes | None = None
    """Memory beside weights, activations and KV, per device; left out: the runtime's."""
    two_batch_overlap: bool | None = None
    """Run steps in two halves, of which one computes while the other exchanges tokens with experts
    (needs parallel.dp and parallel.ep above 1); left out: the runtime's, which is off."""
    prefix_caching: bool = False
    """Keep the KV of prompts for later requests that begin alike."""
    preempt: Literal["recompute", "swap"] | None = None
    """Left out: what the runtime does."""
    queue_limit: Count | None = None
    """Requests that may wait per instance before new ones are rejected; none = no limit."""
    queue_timeout: LongerThanZero | None = None
    """A request that waits longer for its prefill is timed out; none = never."""


@spec
class Boundary:
    """The hand-off between prefill and decode."""

    ownership: str | None = None
    """A protocol, such as pull_lease or rendezvous_chunk_push; left out: the runtime's."""
    variant: str | None = None
    """A variant of the protocol; left out: the runtime's, else the protocol's first."""
    lease: LongerThanZero | None = None
    """How long the prefill side keeps KV that nobody fetches, or a pool (pool_lease) protects what
    a lookup found; left out: the runtime's."""
    wire: str | None = None
    """Number format on the wire; left out: the producer's KV format."""
    convert_at: Literal["producer", "consumer"] | None = None
    """Which side changes the format; must be stated when formats differ."""
    granularity: Literal["request", "chunk", "layer"] | None = None
    """What crosses at once; left out: the runtime's."""
    on_error: Literal["fail", "recompute"] | None = None
    """What becomes of a request whose KV is lost; left out: the runtime's."""
    transfer_engine: str | None = None
    """A transfer engine of ``hetsim profiles``, or a path to a file of your own (absolute, or
    relative to the current folder); left out: the usual one of the runtime."""
    control_latency: Seconds | None = None
    """One way between router and instances; left out: that of the network path."""
    transit: Bytes | None = None
    """Room for copies on each prefill instance, in device memory (taken from the KV cache) or in
    host memory, as the runtime does; required by the protocol copy_out, and by no other."""
    handles: Count | None = None
    """Transfers of a request where it crosses at once, one per pair of ranks, say; left out: 1."""
    message_ids: Literal["attempt", "room"] | None = None
    """How messages name a request: ``attempt`` tells each life of it from the others (invariant
    I5), ``room`` is the client's id alone, under which the last one to register is found. Left
    out: attempt."""
    hold_above: Fraction | None = None
    """The router holds prompts back while prompts and answers inside speak for more than this part
    of the decode pool's blocks; left out: it lets them in whatever waits there."""
    step_timers: bool | None = None
    """Timers that ride on a step loop wait for its next step; left out: where something breaks,
    and where the longest possible step of the decode pool could let a lease end."""
    deadlock: Literal["report", "break"] | None = None
    """Look for requests that wait for each other's blocks; ``break`` fails the youngest of them.
    Left out: only what is still stuck at the end is reported."""


@spec
class Slo:
    """Service level objectives; attainment counts requests that meet all of them."""

    ttft: LongerThanZero
    """Longest time to first token."""
    tpot: LongerThanZero
    """Longest time per output token after the first."""
    e2e: LongerThanZero | None = None
    """Longest time from arrival to last token; left out: not asked for."""
    percentile: Percent = 99.0
    """Percent of all arrived requests that must meet the objectives."""


@spec
class Limits:
    """A run whose estimate exceeds one of these is refused before it begins."""

    events: Amount = 50e6
    """Steps and messages that are simulated one by one."""
    rows: Amount = 100e6
    """Rows of all tables together; a request is at least one."""
    memory: Bytes = 8e9
    """Memory for tables."""


@spec
class Scenario:
    """One design, one workload, one service level."""

    name: Name
    """Stands in reports."""
    description: str = ""
    """One or two sentences for people."""
    model: str
    """A built-in model, or a path to a Hugging Face config.json."""
    workload: AnyWorkload
    """Who asks what, when."""
    pools: Mapping[str, Pool]
    """The pools by name: one of role both, or one prefill and one decode."""
    network: NetworkSpec | None = None
    """Required when prefill and decode are different pools, or an instance spans nodes."""
    boundary: Boundary | None = None
    """Required when prefill and decode are different pools."""
    slo: Slo
    """What users are promised."""
    faults: tuple[Fault, ...] = ()
    """What breaks, and when."""
    recovery: Recovery | None = None
    """What becomes of a request that failed; left out: nothing, but for ``boundary.on_error``."""
    placement: Placement | None = None
    """Which prompts the decode pool computes; left out: none, where there is a prefill pool."""
    residency: Residency | None = None
    """Tiers below HBM that keep the KV of prompts; left out: none."""
    prices: Mapping[str, UsdPerHour] = field(default_factory=dict)
    """Per accelerator-hour, by accelerator name or pool name; overrides the profile's."""
    horizon: LongerThanZero | None = None
    """End of the simulation; left out: when the last request has ended."""
    limits: Limits = Limits()
    """What a run may cost; one that is estimated to cost more is refused."""
    seed: Seed = 0
    """Every random draw follows from it."""
