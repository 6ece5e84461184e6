"""What a simulation is built from: pools, links, protocol and workload, resolved and checked.

The objects here are made by :mod:`hetsim.stages._build` from a scenario; nothing in them changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from hetsim.hardware import Accelerator
from hetsim.kv import Capacity
from hetsim.serving import RankRules
from hetsim.spec import spec
from hetsim.stages._residency_plan import ResidencyPlan, TransitPlan

__all__ = ["BoundaryPlan", "PoolPlan", "SimulationPlan"]


@spec
class PoolPlan:
    """One pool, ready to be built."""

    name: str
    role: Literal["prefill", "decode", "both"]
    accelerator: Accelerator
    instances: int
    devices: int
    """Devices of one instance."""
    ranks: int
    """Scheduler domains of one instance (attention DP)."""
    model: Any
    """Step times: :class:`hetsim.costs.StepModel` or another estimator."""
    rules: RankRules
    blocks: int
    """KV blocks of one rank."""
    capacity: Capacity | None
    batcher: str
    router: str
    keeps: bool
    swap_s_per_block: float | None
    queue_limit: int | None
    queue_timeout_s: float | None
    request_overhead_s: float
    admission_steps: float
    """Steps that a request waits before the scheduler sees it, while the instance is busy."""
    runtime: Any
    compute_format: str
    peak_flop_per_s: float
    memory_bytes_per_s: float
    grade: str
    converters: Mapping[str, Any] = field(default_factory=dict)
    """Conversions of KV that were measured on this device, by ``<from>_to_<to>``."""


@spec
class BoundaryPlan:
    """The hand-off between the prefill and the decode pool."""

    plan: Any
    """:class:`hetsim.ownership.Plan`."""
    verdicts: tuple[Any, ...]
    """:class:`hetsim.representation.Verdict` of every cache group."""
    transfer: Any
    """Planner: tokens to bytes, descriptors, seconds (:mod:`hetsim.transfer`)."""
    first_token_from: Literal["prefill", "decode", "decode_on_arrival", "decode_on_join"]
    granularity: Literal["request", "chunk", "layer"]
    chunk_tokens: int
    """Tokens of one piece at granularity chunk or layer."""
    layers: int
    control_s: float
    """One way between router and instances."""
    mean_block_run: float
    """Consecutive block ids that become one descriptor; 1 where the runtime merges none."""
    transit: TransitPlan | None = None
    """What lies between P and D, where KV does not go straight from one to the other."""


@spec
class SimulationPlan:
    """Everything that a simulation needs."""

    pools: tuple[PoolPlan, ...]
    boundary: BoundaryPlan | None
    network: Any
    """:class:`hetsim.topology.Network` or None."""
    workload: Any
    max_context: int
    faults: tuple[Any, ...]
    horizon_s: float | None
    seed: int
    recovery: Any = None
    placement: Any = None
    deadlock: Literal["report", "break"] | None = None
    by_room: bool = False
    """Messages name a request by its client's id alone."""
    hold_above: float | None = None
    """Part of the decode pool's blocks that the router lets prompts speak for."""
    step_timers: bool = False
    """Timers that ride on a step loop wait for its next step."""
    network_spec: Any = None
    stepwise: bool = False
    check_laws: bool = False

    @property
    def guarded(self) -> bool:
        """Whether anything is stated that the plain hand-off does not know."""
        return bool(
            self.faults
            or self.recovery
            or self.placement
            or self.deadlock
            or self.step_timers
            or self.by_room
            or self.hold_above is not None
        )

    residency: ResidencyPlan | None = None
