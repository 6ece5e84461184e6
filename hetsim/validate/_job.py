"""What is simulated for a row: a scenario as data, and how its answer is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hetsim.hardware import Accelerator
from hetsim.spec import spec
from hetsim.validate._recipes import Recipe

__all__ = ["Job", "Prediction", "network_for", "pool_of", "scenario_of"]

_NIC = "400 Gbit/s"
"""Network of one accelerator where a table does not say: one 400G NIC each, as in the published
Hopper and Blackwell deployments (DGX H100 and B200 reference architectures)."""


@spec
class Job:
    """One simulation and how its figures are taken."""

    data: Mapping[str, Any]
    """A scenario as a user would write it."""
    load: str
    """``closed``, ``open``, ``burst``, ``static``, ``offline`` or ``decode``: all in decode."""
    users: int = 0
    """Closed loop: requests in flight."""
    waves: float = 10.0
    """Closed loop: requests per user of the real benchmark; weighs the first and the last wave."""
    requests: int = 0
    """Requests of the real benchmark; more than are simulated = the rest is extrapolated."""
    isl: int = 1
    osl: int = 1
    stages: tuple[tuple[float, float], ...] = ()
    """Open loop in stages: (requests per second, seconds), in place of the scenario's arrivals."""
    steady: bool = False
    """Figures are of the time after the first third of the arrivals, until the last of them: a
    benchmark of many minutes, of which one is simulated."""
    recipe: Recipe = Recipe()
    scored_pool: str = ""
    """The pool whose devices throughput is per; empty for all."""
    copies: int = 1
    """Equal deployments beside the simulated one, which share the load evenly."""
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Return what two jobs with equal answers have in common."""
        answer = (
            self.load,
            self.users,
            self.waves,
            self.requests,
            self.stages,
            self.steady,
            self.recipe,
        )
        return json.dumps([self.data, answer, self.copies], sort_keys=True)

    @property
    def model_key(self) -> str:
        """Return what jobs that share step models have in common."""
        pools = {k: {**v, "instances": 0} for k, v in self.data["pools"].items()}
        return json.dumps([self.data["model"], pools, self.data.get("network")], sort_keys=True)


@spec
class Prediction:
    """What the simulator says about a row; None = the row has no such figure."""

    ttft_ms: float | None = None
    tpot_ms: float | None = None
    ttft_ms_p50: float | None = None
    tpot_ms_p50: float | None = None
    out_tok_s: float | None = None
    out_tok_s_per_accel: float | None = None
    prompt_tok_s_per_accel: float | None = None
    e2e_ms: float | None = None
    transfer_bytes_per_s: float | None = None
    grade: str = ""
    """The worst calibration grade that went into it."""
    notes: tuple[str, ...] = ()


def pool_of(
    role: str,
    accelerator: Accelerator,
    parallel: Mapping[str, int],
    instances: int,
    precision: Mapping[str, str],
    runtime: str,
    recipe: Recipe,
) -> dict[str, Any]:
    """Return the section of a pool."""
    section: dict[str, Any] = {
        "role": role,
        "accelerator": accelerator.name,
        "instances": instances,
        "parallel": dict(parallel),
        "precision": dict(precision),
        "runtime": runtime,
    }
    for name in ("max_batched_tokens", "max_seqs", "memory_utilisation"):
        value = getattr(recipe, name)
        if value is not None:
            section[name] = value
    return section


def network_for(devices_per_node: int) -> dict[str, Any]:
    """Return a network with one NIC per accelerator."""
    return {"fabric": "single_switch", "nic": _NIC, "nics_per_node": max(1, devices_per_node)}


def scenario_of(
    model: str,
    workload: Mapping[str, Any],
    pools: Mapping[str, Any],
    network: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return a scenario as data; its objectives are not asked for."""
    data: dict[str, Any] = {
        "name": "row",
        "model": model,
        "workload": dict(workload),
        "pools": dict(pools),
        "slo": {"ttft": "1000 s", "tpot": "1000 s"},
    }
    if network is not None:
        data["network"] = dict(network)
    if len(pools) == 2:
        data["boundary"] = {}
    return data
