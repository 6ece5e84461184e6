"""Tiers below HBM and the store between the pools, as ``hetsim run`` prints them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.units import format_bytes, format_seconds

__all__ = ["store_lines", "tier_table"]

COLUMNS = ("tier", "hit tokens", "fetched", "read", "written", "evicted", "full")


def tier_table(summary: Mapping[str, Any]) -> list[list[str]]:
    """Return one row per tier, HBM first; nothing where there are none."""
    found = summary.get("residency")
    if found is None:
        return []
    rows = []
    for name, tier in found["tiers"].items():
        if name == "hbm":
            rows.append([name, str(tier["hit_tokens"]), "", "", "", "", ""])
            continue
        pages = tier["pages"]
        rows.append(
            [
                name,
                str(tier["hit_tokens"]),
                str(tier["fetched_tokens"]),
                format_bytes(tier["bytes_read"]),
                format_bytes(tier["bytes_written"]),
                f"{tier['evicted_pages']} pages",
                f"{pages['peak_owned'] / max(1, pages['total']):.0%}",
            ]
        )
    return rows


def store_lines(summary: Mapping[str, Any]) -> list[str]:
    """Return what else is worth a line: waits, wrong hits, wear, and the hand-off's store."""
    lines = []
    found, transit = summary.get("residency"), summary.get("transit")
    if found is not None:
        mean = format_seconds(found["mean_fetch_s"])
        lines.append(f"{found['fetches']} of {found['lookups']} lookups waited {mean} on average")
        if found["aliased_hits"]:
            lines.append(
                f"{found['aliased_hits']} units were read in a form that is not theirs: "
                f"{found['ok_corrupt']} answers are wrong, and nobody saw it"
            )
        wear = found.get("ssd_wear")
        if wear is not None:
            rated = wear["rated_drive_writes_per_day"]
            beside = f", rated for {rated:g}" if rated is not None else ""
            lines.append(
                f"drives: {format_bytes(wear['bytes_written'])} written, "
                f"{wear['drive_writes_per_day']:.3g} drive writes per day at this load{beside}"
            )
    if transit is not None:
        pages = transit["pages"]
        lines.append(
            f"store between the pools ({transit['place']}): at most "
            f"{pages['peak_owned'] / max(1, pages['total']):.0%} full, "
            f"{transit['waits_for_room']} requests waited for room, "
            f"{transit['recomputed_requests']} were computed again"
        )
    return lines
