"""A scenario written out in full, so that it can be read again and run again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hetsim.scenario._load import Loaded
from hetsim.scenario._parts import accelerator_of, devices_per_node, host_of
from hetsim.scenario._profiles import collect_profiles, differing, dump_profiles
from hetsim.scenario._types import Scenario

__all__ = [
    "dump_scenario",
    "embedded_yaml",
    "notes_on_profiles",
    "plain_scenario",
    "resolve",
    "resolved_yaml",
]


def plain_scenario(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as plain data: every field, quantities as exact text with their unit."""
    from hetsim.spec._check import plain_data

    data: dict[str, Any] = plain_data(Scenario, scenario)
    return data


def dump_scenario(scenario: Scenario) -> str:
    """Return a scenario as YAML text; loading it gives an equal scenario."""
    from hetsim.spec._yaml import dump_yaml

    return dump_yaml(plain_scenario(scenario))


def resolve(scenario: Scenario, base_dir: str | Path = ".", plan: Any = None) -> dict[str, Any]:
    """Return plain data with every default written out and every path absolute.

    ``plan`` is what :func:`hetsim.stages.build_plan` made of the scenario. With it, what the
    scenario leaves to runtimes and profiles is filled in as well; the run stays the same. What
    stays None there has no value of its own: no limit, no deadline, or the runtime's timers.
    """
    data = plain_scenario(scenario)
    _absolute(data, Path(base_dir))
    if plan is not None:
        for pool in plan.pools:
            _fill(data["pools"][pool.name], _pool_words(scenario, pool, base_dir))
        if plan.boundary is not None:
            _fill(data["boundary"], _boundary_words(plan.boundary))
    return data


def _fill(section: dict[str, Any], words: dict[str, Any]) -> None:
    section.update({key: value for key, value in words.items() if section[key] is None})


def _pool_words(scenario: Scenario, plan: Any, base_dir: str | Path) -> dict[str, Any]:
    """Return what runtime, profile and server say of a pool, as a scenario would state it."""
    pool, runtime = scenario.pools[plan.name], plan.runtime
    accelerator = accelerator_of(pool.accelerator, base_dir)
    host = host_of(pool, accelerator)
    return {
        "devices_per_node": devices_per_node(pool, accelerator),
        "host": host.name if host is not None else None,
        "max_seqs": plan.rules.max_seqs,
        "max_batched_tokens": plan.rules.max_tokens,
        "block_tokens": plan.rules.block_tokens,
        "memory_utilisation": runtime.memory_utilisation,
        "two_batch_overlap": bool(getattr(plan.model, "overlapped", False)),
        "reserve": f"{float(runtime.reserve_bytes)!r} byte",
        "preempt": "swap" if plan.swap_s_per_block is not None else "recompute",
    }


def _boundary_words(plan: Any) -> dict[str, Any]:
    # The lease is not filled in: stating one replaces timers that a protocol brings along.
    return {
        "ownership": plan.plan.kind,
        "variant": plan.plan.variant.name,
        "granularity": plan.granularity,
        "on_error": plan.plan.options.on_error,
        "control_latency": f"{float(plan.control_s)!r} second",
    }


def _absolute(data: dict[str, Any], base_dir: Path) -> None:
    """Make the paths in ``data`` absolute, so that the file may lie anywhere."""
    load = data["workload"]
    for holder in (load, load.get("input"), load.get("output")):
        if isinstance(holder, dict) and holder.get("path") is not None:
            holder["path"] = str((base_dir / holder["path"]).resolve())
    for holder, key in (
        (data, "model"),
        *((pool, "accelerator") for pool in data["pools"].values()),
    ):
        if "/" in holder[key] and (base_dir / holder[key]).exists():
            holder[key] = str((base_dir / holder[key]).resolve())


def resolved_yaml(loaded: Loaded, plan: Any = None) -> str:
    """Return the text of ``scenario.resolved.yaml``: what was run, and on what it rests.

    Facts of profiles and calibrations stand above it as comments; names lead back to them.
    """
    from hetsim.spec._yaml import dump_yaml

    head = [] if plan is None else [f"# {line}" for line in _facts(plan)]
    body = dump_yaml(resolve(loaded.scenario, loaded.base_dir, plan))
    return "\n".join([*head, body])


def embedded_yaml(loaded: Loaded) -> str:
    """Return the section that follows :func:`resolved_yaml` in a run directory.

    It holds what the run took from the catalogue, so that the file alone is enough to run again.
    """
    with loaded.in_use():
        words = resolve(loaded.scenario, loaded.base_dir)
        return dump_profiles(collect_profiles(loaded.scenario, words, loaded.base_dir))


def notes_on_profiles(loaded: Loaded) -> list[str]:
    """Return what a scenario embeds and does not use, and what it uses and does not embed."""
    if loaded.profiles is None:
        return []
    with loaded.in_use():
        words = resolve(loaded.scenario, loaded.base_dir)
        used = collect_profiles(loaded.scenario, words, loaded.base_dir)
    return differing(loaded.profiles, used)


def _facts(plan: Any) -> Iterator[str]:
    for pool in plan.pools:
        device, runtime = pool.accelerator, pool.runtime
        yield (
            f"pool {pool.name}: {device.name}, {pool.peak_flop_per_s:.6g} FLOP/s at "
            f"{pool.compute_format}, {pool.memory_bytes_per_s:.6g} B/s, step times {pool.grade}; "
            f"{runtime.name} ({runtime.engine} {runtime.version})"
        )
        if pool.capacity is not None:
            yield f"pool {pool.name}: {pool.capacity.line()}"
    if plan.boundary is not None:
        timers = plan.boundary.plan.variant.timers
        stated = [
            f"{name} {value!r}"
            for name in timers.__dataclass_fields__
            if (value := getattr(timers, name)) is not None
        ]
        kinds = ", ".join(verdict.kind for verdict in plan.boundary.verdicts)
        yield f"hand-off: {kinds}; timers: {', '.join(stated) or 'none'}"
