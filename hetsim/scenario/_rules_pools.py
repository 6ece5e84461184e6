"""Rules of ``pools``: roles, names, formats, layouts, devices, servers, runtimes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hetsim.costs import Layout
from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import Accelerator, get_host
from hetsim.model import Model, tp_problems
from hetsim.precision import get_format
from hetsim.representation import encoding_of
from hetsim.runtimes import Runtime, get_runtime, runtime_names
from hetsim.scenario._parts import Parts, within
from hetsim.scenario._types import Parallel, Pool

__all__ = ["RULES"]

_POOL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_MOST_DEVICES = 65_536


def _names(parts: Parts) -> Iterator[Problem]:
    for name in parts.scenario.pools:
        if not _POOL_NAME.fullmatch(name):
            yield Problem(
                f"{name[:60]!r} cannot name a pool; use up to 40 letters, digits, - and _", "pools"
            )


def _roles(parts: Parts) -> Iterator[Problem]:
    if parts.order is None:
        seen = ", ".join(f"{name}: {pool.role}" for name, pool in parts.scenario.pools.items())
        yield Problem(
            "needs one pool with role both, or one with role prefill and one with role decode; "
            f"seen {seen or 'none'}",
            "pools",
        )


def _formats(parts: Parts) -> Iterator[Problem]:
    problems: list[Problem] = []
    for name, pool in parts.scenario.pools.items():
        path = f"pools.{name}.precision"
        for role in ("weights", "compute", "kv", "activations", "attention_weights"):
            stated = getattr(pool.precision, role)
            if stated is not None:
                with within(problems, f"{path}.{role}"):
                    get_format(stated, f"{path}.{role}")
        if parts.apart and not problems:
            device = parts.accelerators[name]
            with within(problems, f"{path}.kv"):
                encoding_of(
                    pool.precision.kv, device.native_formats if device else (), f"{path}.kv"
                )
    yield from problems


def _layouts(parts: Parts) -> Iterator[Problem]:
    for name, pool in parts.scenario.pools.items():
        path, cut = f"pools.{name}.parallel", pool.parallel
        try:
            Layout(tp=cut.tp, pp=cut.pp, ep=cut.ep, dp=cut.dp)
        except ScenarioError as error:
            yield from (Problem(p.message, f"{path}.{p.path}") for p in error.problems)
        if parts.model is not None:
            yield from _cuts(parts.model, cut, path)
        devices = pool.instances * cut.tp * cut.pp * cut.dp
        if devices > _MOST_DEVICES:
            yield Problem(
                f"{pool.instances} instances of {devices // pool.instances} are {devices} "
                f"accelerators; at most {_MOST_DEVICES}",
                f"pools.{name}.instances",
            )


def _cuts(model: Model, cut: Parallel, path: str) -> Iterator[Problem]:
    """Yield what stands against cutting the model so, as engines demand it."""
    yield from (Problem(p.message, f"{path}.tp") for p in tp_problems(model, cut.tp))
    if cut.pp > model.layer_count:
        yield Problem(
            f"is {cut.pp}; {model.name} has {model.layer_count} layers, so at most that",
            f"{path}.pp",
        )
    experts = sorted({group.mlp.experts for group in model.layers if group.mlp.kind == "moe"})
    if cut.ep > 1 and not experts:
        yield Problem(f"is {cut.ep}; {model.name} has no experts: leave it out", f"{path}.ep")
    for count in experts:
        if count % cut.ep:
            yield Problem(
                f"is {cut.ep}; must divide the {count} experts of {model.name}", f"{path}.ep"
            )


def _overlap(parts: Parts) -> Iterator[Problem]:
    for name, pool in parts.scenario.pools.items():
        cut = pool.parallel
        if pool.two_batch_overlap and not (cut.dp > 1 and cut.ep > 1):
            yield Problem(
                f"is on, but parallel.dp {cut.dp} with parallel.ep {cut.ep} exchanges no tokens "
                "with experts; both must be above 1, or leave it out",
                f"pools.{name}.two_batch_overlap",
            )


def _devices(parts: Parts) -> Iterator[Problem]:
    """Yield the numbers without which a pool of such devices cannot be priced in time."""
    for name, pool in parts.scenario.pools.items():
        device = parts.accelerators[name]
        if device is None or pool.estimator.kind == "constant":
            continue
        lacks = _lacking(device)
        runtime = parts.runtimes[name]
        if _swaps(pool, runtime) and device.host_bytes_per_s is None:
            lacks.append("host_bytes_per_s (to swap preempted requests; or preempt: recompute)")
        if lacks:
            yield Problem(
                f"no source gives the {', '.join(lacks)} of {device.name}; choose another, or a "
                "profile of your own that states it",
                f"pools.{name}.accelerator",
            )


def _lacking(device: Accelerator) -> list[str]:
    lacks = [
        field for field in ("memory_bytes", "memory_bytes_per_s") if getattr(device, field) is None
    ]
    if device.memory_bytes is None and device.capacity_bytes is not None:
        lacks.remove("memory_bytes")
    if not any(device.peak(roof) for roof in ("bf16", "fp16", "fp32")):
        lacks.append("peak of bf16, fp16 or fp32")
    return lacks


def _swaps(pool: Pool, runtime: Runtime | None) -> bool:
    if pool.preempt is not None:
        return pool.preempt == "swap"
    return runtime is not None and runtime.on_preempt == "retract"


def _hosts(parts: Parts) -> Iterator[Problem]:
    problems: list[Problem] = []
    for name, pool in parts.scenario.pools.items():
        if pool.host is None:
            continue
        path, device = f"pools.{name}.host", parts.accelerators[name]
        with within(problems, path):
            host = get_host(pool.host, path)
            if device is not None and host.accelerator not in (None, device.name):
                problems.append(
                    Problem(f"{host.name} carries {host.accelerator}, not {device.name}", path)
                )
    yield from problems


def _runtimes(parts: Parts) -> Iterator[Problem]:
    for name, pool in parts.scenario.pools.items():
        runtime = parts.runtimes[name]
        wanted = "colocated" if pool.role == "both" else "disaggregated"
        if runtime is None or runtime.use in (wanted, "test"):
            continue
        fitting = [found for word in runtime_names() if (found := get_runtime(word)).use == wanted]
        # Those of the same engine first: the user chose it.
        fitting.sort(key=lambda found: found.engine != runtime.engine)
        does = "serves alone" if runtime.use == "colocated" else "hands KV to another engine"
        yield Problem(
            f"{runtime.name} {does}, and the pool's role is {pool.role}; did you mean "
            f"{fitting[0].name!r}? allowed: {', '.join(repr(found.name) for found in fitting)}",
            f"pools.{name}.runtime",
        )


def _queues(parts: Parts) -> Iterator[Problem]:
    for name, pool in parts.scenario.pools.items():
        if pool.role != "decode":
            continue
        path = f"pools.{name}"
        if pool.router == "shared_queue":
            yield Problem(
                "requests are queued before prefill; a decode pool needs another router: "
                "least_load, round_robin, prefix_aware, kv_aware",
                f"{path}.router",
            )
        for field in ("queue_limit", "queue_timeout"):
            if getattr(pool, field) is not None:
                yield Problem(
                    "has no effect here: requests queue before prefill; state it there",
                    f"{path}.{field}",
                )


RULES = (_names, _roles, _formats, _layouts, _overlap, _devices, _hosts, _runtimes, _queues)
