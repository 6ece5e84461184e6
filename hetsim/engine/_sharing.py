"""Who shares with whom, and at which rates: the fabric's questions to the solver."""

from __future__ import annotations

from collections.abc import Iterable

from hetsim.engine._flow import Bundle, Flow, Route
from hetsim.topology import progressive_fill

__all__ = ["around", "ceiling_of", "component", "ending_with", "fair_rates"]


def ceiling_of(route: Route, limit: float) -> float:
    """Return the rate of a flow that is alone, at most ``limit``."""
    for link, share in route:
        rate = link.capacity / share
        if rate < limit:
            limit = rate
    return limit


def component(seeds: Iterable[Bundle], extra: Iterable[Flow]) -> tuple[list[Flow], list[Bundle]]:
    """Return the flows that binding bundles connect with the seeds, and those, in order."""
    flows = dict.fromkeys(extra)
    reached = dict.fromkeys(seeds)
    for flow in flows:
        for link, _ in flow.route:
            if link.binds:
                reached[link] = None
    frontier = list(reached)
    for link in frontier:  # grows while it is read
        for flow in link.users:
            if flow in flows:
                continue
            flows[flow] = None
            for other, _ in flow.route:
                if other not in reached and other.binds:
                    reached[other] = None
                    frontier.append(other)
    return list(flows), [link for link in frontier if link.binds]


def around(seeds: Iterable[Bundle]) -> tuple[list[Flow], list[Bundle]]:
    """Return the component of one bundle, if it is nothing but its flows; else nothing."""
    (hub,) = seeds
    flows = star(hub)
    return (flows, [hub] if hub.binds else []) if flows else ([], [])


def star(hub: Bundle) -> list[Flow] | None:
    """Return the flows on ``hub`` if nothing else binds any of them: a component by itself."""
    for flow in hub.users:
        if flow.path.shares:
            return None
        for bundle, _ in flow.route:
            if bundle.binds and bundle is not hub:
                return None
    return list(hub.users)


def fair_rates(flows: list[Flow], binding: list[Bundle]) -> list[float]:
    """Return the fair rates of a component."""
    ceilings = [flow.ceiling for flow in flows]
    count = len(flows)
    if count == 1 or not binding:
        return ceilings
    if len(binding) == 1 and len(binding[0].users) == count and not flows[0].path.shares:
        even = binding[0].capacity / count
        if even <= min(ceilings) and not any([flow.path.shares for flow in flows]):
            return [even] * count
    if all([len(link.users) == count for link in binding]) and not any(
        [flow.path.shares for flow in flows]
    ):
        # All flows on all of the links: an even split of the tightest, if everyone can use it.
        even = min([link.capacity for link in binding]) / count
        if even <= min(ceilings):
            return [even] * count
    slots = {link: slot for slot, link in enumerate(binding)}
    routes = [[(slots[link], s) for link, s in flow.route if link in slots] for flow in flows]
    return progressive_fill(routes, [link.capacity for link in binding], ceilings)


def ending_with(flow: Flow, now_s: float) -> list[Flow]:
    """Return ``flow`` and those it shares a binding link with that also end now, by their start."""
    ending = None
    for link, _ in flow.route:
        if link.binds:
            for other in link.users:
                if other.finish_s <= now_s and other is not flow:
                    ending = ending or {flow: flow.id}
                    ending[other] = other.id
    return sorted(ending, key=ending.__getitem__) if ending else [flow]
