"""The tiers of a scenario before it runs: how much they hold, and whether a fetch is worth it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hetsim.inspect._subject import Subject
from hetsim.residency import fetch_s
from hetsim.run import prefill_s
from hetsim.stages import ResidencyPlan, TierPlan, copy_cost
from hetsim.units import format_bytes, format_seconds

__all__ = ["residency_risks", "residency_rows", "tier_rows"]

_FEW = 4
_HINTS = "vLLM's Mooncake store connector, SGLang's HiCache (sglang issues 33268, 36420, 38362)"


def tier_rows(subject: Subject) -> list[dict[str, Any]]:
    """Return what each tier holds and what 1k tokens of it cost, alone, beside computing them."""
    plan = subject.plan.residency
    if plan is None:
        return []
    units = max(1, round(1000 / plan.unit_tokens))
    compute_s = prefill_s(subject.first, units * plan.unit_tokens)
    return [
        {
            "tier": tier.name,
            "tokens": tier.pages // plan.unit_pages * plan.unit_tokens * (max(tier.holders) + 1),
            "bytes": tier.pages * plan.page_bytes * (max(tier.holders) + 1),
            "holders": max(tier.holders) + 1,
            "fetch_s": _alone_s(subject, plan, tier, units),
            "compute_s": compute_s,
            "eviction": tier.eviction.kind,
            "write": tier.write,
        }
        for tier in plan.tiers
    ]


def _alone_s(subject: Subject, plan: ResidencyPlan, tier: TierPlan, units: int) -> float:
    path = tier.reads[0]
    rate, beside_s = copy_cost(plan, tier, units)
    rate = min(rate, subject.plan.network.bottleneck_bytes_per_s(path))
    return fetch_s(units * plan.unit_pages * plan.page_bytes, rate, beside_s + path.latency_s)


def residency_rows(subject: Subject) -> list[dict[str, str]]:
    """Return the tiers and the store between the pools as (what, value) for people."""
    rows = []
    for row in tier_rows(subject):
        rows.append({"what": f"tier {row['tier']}", "value": _tier_text(row)})
    boundary = subject.plan.boundary
    if boundary is not None and boundary.transit is not None and boundary.transit.pages:
        store = boundary.transit
        size = format_bytes(store.pages * store.page_bytes)
        value = f"{size} in {store.place} memory of each prefill instance"
        rows.append({"what": "transit store", "value": f"{value}: {_held(subject):.1f} requests"})
    return rows


def _tier_text(row: dict[str, Any]) -> str:
    where = f"at {row['holders']} holders" if row["holders"] > 1 else "at one holder"
    verdict = "fetch" if row["fetch_s"] < row["compute_s"] else "compute"
    return (
        f"{format_bytes(row['bytes'])} = {row['tokens']} tokens {where}, {row['eviction']}, "
        f"{row['write']}; 1k tokens: fetch {format_seconds(row['fetch_s'])} alone, compute "
        f"{format_seconds(row['compute_s'])}: {verdict}"
    )


def _held(subject: Subject) -> float:
    """Return the mean requests that the store between the pools holds."""
    boundary = subject.plan.boundary
    assert boundary is not None and boundary.transit is not None
    store, pages = boundary.transit, boundary.transit.pages
    if store.place == "remote":
        assert subject.plan.residency is not None
        pages = next(t.pages for t in subject.plan.residency.tiers if t.name == "remote")
    tokens = max(1, round(subject.demand.input_tokens))
    return float(pages * store.page_bytes / boundary.transfer.plan(tokens).bytes)


def residency_risks(subject: Subject) -> Iterator[str]:
    """Yield what may go wrong with tiers, keys and stores."""
    yield from _tier_risks(subject)
    boundary = subject.plan.boundary
    if boundary is None or boundary.transit is None:
        return
    held = _held(subject)
    if held >= _FEW:
        return
    if boundary.transit.place == "remote":
        yield (
            f"the pool holds {held:.1f} requests of mean length: objects are evicted before the "
            "decode side has looked them up"
        )
    else:
        yield (
            f"the transit store holds {held:.1f} requests of mean length: prompts wait in the "
            "prefill side's blocks for room in it"
        )


def _tier_risks(subject: Subject) -> Iterator[str]:
    plan = subject.plan.residency
    if plan is None:
        return
    if not subject.first.rules.unit_blocks:
        boundary = subject.plan.boundary
        if boundary is None or boundary.transit is None:
            yield "residency: the workload names no prefixes: the tiers stay empty"
        return
    for row in tier_rows(subject):
        if row["fetch_s"] >= row["compute_s"]:
            yield (
                f"tier {row['tier']}: a fetch of 1k tokens takes {format_seconds(row['fetch_s'])}, "
                f"computing them {format_seconds(row['compute_s'])}: it is seldom worth it"
            )
    if plan.key != "complete":
        yield (
            f"residency.key {plan.key}: entries of another format or layout are read as one's own, "
            f"and nobody sees it; as {_HINTS}"
        )
