"""What a run says of tiers below HBM and of the store between P and D; nothing without them."""

from __future__ import annotations

from typing import Any

from hetsim.stages import World

__all__ = ["store_story"]


def store_story(world: World, end_s: float) -> dict[str, Any]:
    """Return the parts ``residency`` and ``transit`` of a summary, those that there are."""
    found: dict[str, Any] = {}
    if world.tiers is not None:
        found["residency"] = world.tiers.figures(end_s)
    if world.transit is not None:
        found["transit"] = world.transit.figures()
    return found
