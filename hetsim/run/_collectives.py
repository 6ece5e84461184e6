"""What a run says of collectives that leave their node; nothing where all stay inside."""

from __future__ import annotations

from typing import Any

from hetsim.stages import World

__all__ = ["collectives_story"]


def collectives_story(world: World, end_s: float) -> dict[str, Any]:
    """Return the part ``collectives`` of a summary, by pool.

    ``sent_bytes`` between nodes; ``link_utilisation`` of the busiest link that they use, KV and
    everything else on it included; ``segments_cut``: how often a change of rate, and nothing
    else, ended a run of decode steps.
    """
    crossings, fabric = world.crossings, world.fabric
    if crossings is None or fabric is None or not crossings.ports:
        return {}
    found: dict[str, Any] = {}
    for port in crossings.ports:
        mine = found.setdefault(
            port.stage.plan.name, {"sent_bytes": 0.0, "link_utilisation": 0.0, "segments_cut": 0}
        )
        mine["sent_bytes"] += port.standing.booked_bytes
        mine["segments_cut"] += port.instance.cuts
        for link in port.standing.path.links:
            room = fabric.network.links[link].capacity_bytes_per_s * end_s
            used = fabric.carried_bytes(link) / room if room else 0.0
            mine["link_utilisation"] = max(mine["link_utilisation"], used)
    return {"collectives": found}
