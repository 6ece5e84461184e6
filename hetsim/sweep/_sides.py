"""One pool configuration of a sweep: its engine, price and ports, made once for all its points."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import ceil
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

from hetsim.costs import Calibration, load_calibration
from hetsim.errors import HetsimError, InfeasibleError
from hetsim.hardware import Accelerator, get_accelerator
from hetsim.model import attention_of
from hetsim.precision import get_format
from hetsim.run import pool_power
from hetsim.scenario import Scenario, accelerator_of, devices_per_node, model_of
from hetsim.stages import PoolPlan, build_plan
from hetsim.sweep._curves import DecodeCurve, PromptCurve
from hetsim.sweep._demand import Demand
from hetsim.topology import NicSpec, default_efficiency

__all__ = ["UNKNOWN_SIDE", "Engine", "Side", "SideMaker", "calibration_of"]


@lru_cache(maxsize=256)
def calibration_of(name: str, z: float = 0.0) -> Calibration:
    """Return the calibration of a shipped accelerator; files are read once per process.

    ``z`` moves every parameter by so many standard errors; below zero all are faster.
    """
    found = load_calibration(get_accelerator(name))
    return found.shifted(z) if z else found


class Engine:
    """One instance: its plan, and its curves, made when first asked for."""

    def __init__(self, plan: PoolPlan, max_context: int) -> None:
        self.plan = plan
        self.max_tokens = min(
            max_context, (plan.blocks - plan.rules.fixed_blocks) * plan.rules.block_tokens
        )
        """Longest request that is let in."""
        self._prompts: dict[int, PromptCurve] = {}
        self._decodes: DecodeCurve | None = None

    def prompts(self, longest: int) -> PromptCurve:
        """Return the curve of prompt steps; ``longest`` matters where prompts are not cut."""
        key = 0 if self.plan.rules.chunked else longest
        if key not in self._prompts:
            self._prompts[key] = PromptCurve(self.plan, longest)
        return self._prompts[key]

    @property
    def decodes(self) -> DecodeCurve:
        """The curve of decode steps."""
        if self._decodes is None:
            self._decodes = DecodeCurve(self.plan)
        return self._decodes


class Side(NamedTuple):
    """A pool of some points: what bounds and constraints ask of it."""

    name: str
    role: str
    engine: Engine | None
    instances: int
    accelerator: str
    devices: int
    usd_per_h: float | None
    idle_w: float | None
    max_w: float | None
    always_ends: bool
    """No request is turned away or given up by this pool."""
    overhead_s: float
    wait_s: float
    """Shortest wait for the steps of a decode pool before anything begins."""
    nic_bytes_per_s: float
    """Of all nodes together, one direction; infinite where KV does not pass NICs."""
    kv_bytes: tuple[tuple[int | None, float], ...]
    """KV bytes per token of the whole model at this pool's format, by window."""
    kv_format: str
    runtime: str
    reason: str = ""
    """Why the pool cannot be built."""


UNKNOWN_SIDE = Side(
    name="",
    role="",
    engine=None,
    instances=0,
    accelerator="",
    devices=0,
    usd_per_h=None,
    idle_w=None,
    max_w=None,
    always_ends=False,
    overhead_s=0.0,
    wait_s=0.0,
    nic_bytes_per_s=float("inf"),
    kv_bytes=(),
    kv_format="",
    runtime="",
)
"""A pool that cannot be read: the simulation says why."""


class SideMaker:
    """Makes sides; engines that differ in nothing but their number are shared.

    ``interval`` takes calibrations at the favourable end of that interval of each parameter.
    """

    def __init__(self, base_dir: Path, interval: float | None = None) -> None:
        self.base_dir = base_dir
        self._z = -NormalDist().inv_cdf(0.5 + interval / 2.0) if interval is not None else 0.0
        self._engines: dict[str, Engine | str] = {}

    def side(self, scenario: Scenario, name: str, demand: Demand | None) -> Side:
        """Return the side that pool ``name`` of a scenario is.

        What stands against the pool becomes its ``reason``; what stands against the scenario as a
        whole is left to the simulation.
        """
        pool = scenario.pools[name]
        cut = pool.parallel
        devices = pool.instances * cut.tp * cut.pp * cut.dp
        accelerator = accelerator_of(pool.accelerator, self.base_dir)
        power = pool_power(scenario, name, self.base_dir)
        found = self._engine(scenario, name, demand)
        return Side(
            name=name,
            role=pool.role,
            engine=found if isinstance(found, Engine) else None,
            instances=pool.instances,
            accelerator=accelerator.name,
            devices=devices,
            usd_per_h=power.usd_per_h,
            idle_w=power.idle_w,
            max_w=power.max_w,
            always_ends=pool.queue_limit is None and pool.queue_timeout is None,
            overhead_s=found.plan.request_overhead_s if isinstance(found, Engine) else 0.0,
            wait_s=_least_wait_s(found) if isinstance(found, Engine) else 0.0,
            nic_bytes_per_s=_nic_bytes_per_s(scenario, name, accelerator),
            kv_bytes=_kv_bytes(scenario, name, self.base_dir),
            kv_format=pool.precision.kv,
            runtime=pool.runtime,
            reason=found if isinstance(found, str) else "",
        )

    def _engine(self, scenario: Scenario, name: str, demand: Demand | None) -> Engine | str:
        alone = _alone(scenario, name)
        key = repr((alone.model, alone.pools, alone.network))
        found = self._engines.get(key)
        if found is None:
            found = self._engines[key] = self._build(scenario, alone, name, demand)
            fixed = isinstance(found, Engine) and found.plan.rules.fixed_blocks > 0
            if fixed:  # its blocks depend on the mean request: not to be shared
                del self._engines[key]
        return found

    def _build(
        self, scenario: Scenario, alone: Scenario, name: str, demand: Demand | None
    ) -> Engine | str:
        accelerator = accelerator_of(scenario.pools[name].accelerator, self.base_dir).name
        workload = demand.workload if demand is not None else None
        try:
            plan = build_plan(
                alone,
                self.base_dir,
                calibrations={accelerator: calibration_of(accelerator, self._z)},
                workload=workload,
            )
        except InfeasibleError as error:
            return "; ".join(line.strip() for line in str(error).splitlines())
        except HetsimError:
            return ""
        one = plan.pools[0]
        role = scenario.pools[name].role
        if role != "both":
            one = replace(one, role=role, request_overhead_s=one.runtime.handoff_overhead_s)
        return Engine(one, plan.max_context)


def _least_wait_s(engine: Engine) -> float:
    """Return the wait for the steps of a decode pool if each were that of one empty sequence."""
    plan = engine.plan
    if plan.role != "decode":
        return 0.0
    return float(plan.runtime.handoff_steps * plan.model.decode(1)[0])


def _alone(scenario: Scenario, name: str) -> Scenario:
    """Return a scenario of one instance of one pool, in which it does everything."""
    pool = replace(scenario.pools[name], role="both", instances=1)
    return replace(scenario, pools={name: pool}, boundary=None, faults=())


def _kv_bytes(
    scenario: Scenario, name: str, base_dir: Path
) -> tuple[tuple[int | None, float], ...]:
    """Return KV bytes per token of the whole model, once, by the window of its layers."""
    size = get_format(scenario.pools[name].precision.kv).bytes_per_element
    total: dict[int | None, float] = {}
    for group in model_of(scenario.model, base_dir).layers:
        kind = attention_of(group.attention)
        window = kind.context_limit if group.attention.window else None
        held = kind.kv_elements_per_token(1) * size * group.count
        total[window] = total.get(window, 0.0) + held
    return tuple(total.items())


def _nic_bytes_per_s(scenario: Scenario, name: str, accelerator: Accelerator) -> float:
    """Return what the NICs of a pool's nodes carry together; more than its instances may use."""
    network, pool = scenario.network, scenario.pools[name]
    if not isinstance(network, NicSpec) or network.share != "none":
        return float("inf")
    node = devices_per_node(pool, accelerator)
    cut = pool.parallel
    size = cut.tp * cut.pp * cut.dp
    nodes = (
        ceil(pool.instances / (node // size))
        if size <= node
        else pool.instances * ceil(size / node)
    )
    own = network.pools.get(name)
    nics = (own.nics_per_node if own else None) or network.nics_per_node
    rate = (own.nic if own else None) or network.nic
    ceiling = (own.efficiency if own else None) or network.efficiency or default_efficiency(nics)
    owned = ceil(min(size, node) * nics / node)
    if node % size == 0 and (size * nics) % node == 0:
        # Instances own whole NICs, and none that others own.
        return float(pool.instances * owned * rate * ceiling)
    return float(nodes * nics * rate * ceiling)
