"""Max-min fair rates by progressive filling: the solver knows links and flows, and no time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from hetsim.errors import Problem, ScenarioError

__all__ = ["max_min_rates", "progressive_fill"]

Route = Sequence[tuple[int, float]]
"""What a flow uses: (link, share); ``share`` is the part of its bytes that crosses the link."""

_TIE = 1.0 + 1e-12
"""Links that saturate this close together do so in one round, so equals get equal bits."""


def max_min_rates(
    flows: Mapping[int, Sequence[int]],
    capacity: Sequence[float],
    limits: Mapping[int, float] | None = None,
) -> dict[int, float]:
    """Return the max-min fair rate of every flow, in the order of ``flows``.

    All rates rise together; when a link is full (or a flow meets its own limit) the flows on it
    stop, and the others go on. In the result no flow can gain without a slower or equal one losing.

    Source: Bertsekas and Gallager, Data Networks, 2nd edition, section 6.5.2, 1992.
    Valid for: long transfers under fair congestion control; no priorities, no start-up phase.

    Raises
    ------
    ScenarioError
        If a flow names a link that is not there, or a capacity or limit is negative or NaN.

    >>> max_min_rates({1: [0], 2: [0, 1], 3: [1]}, [10.0, 4.0])
    {1: 8.0, 2: 2.0, 3: 2.0}
    """
    caps = limits or {}
    problems = [
        Problem(f"capacity of link {link} is {value!r}; it must be at least 0")
        for link, value in enumerate(capacity)
        if not value >= 0.0
    ]
    for flow, links in flows.items():
        for link in links:
            if not 0 <= link < len(capacity):
                problems.append(Problem(f"flow {flow} names link {link} of {len(capacity)}"))
        if not caps.get(flow, inf) >= 0.0:
            problems.append(Problem(f"limit of flow {flow} is {caps[flow]!r}; it must be >= 0"))
    if problems:
        raise ScenarioError(problems)
    # A link named twice in a route is crossed once.
    routes = [[(link, 1.0) for link in dict.fromkeys(links)] for links in flows.values()]
    rates = progressive_fill(routes, capacity, [caps.get(flow, inf) for flow in flows])
    return dict(zip(flows, rates, strict=True))


def progressive_fill(
    routes: Sequence[Route], capacity: Sequence[float], limits: Sequence[float]
) -> list[float]:
    """Return the max-min fair rate of each route; :func:`max_min_rates` without names or checks.

    With shares the constraint of a link is ``sum(share * rate) <= capacity``; a flow whose bytes
    are spread over several links (an instance that spans two leaves) is one flow with shares.
    """
    room = list(capacity)
    weight = [0.0] * len(room)
    users: list[list[int]] = [[] for _ in room]
    for flow, route in enumerate(routes):
        for link, share in route:
            weight[link] += share
            users[link].append(flow)
    rising = [len(found) for found in users]
    rates = [_RISING] * len(routes)
    patient = sorted(range(len(routes)), key=limits.__getitem__, reverse=True)
    live = [link for link, found in enumerate(users) if found]
    while True:
        while patient and rates[patient[-1]] != _RISING:
            patient.pop()
        if not patient:
            return rates
        full = [room[link] / weight[link] for link in live]
        level = max(min(full, default=inf), 0.0)
        if limits[patient[-1]] < level:
            level = limits[patient[-1]]
        edge = level * _TIE
        for flow in _stopping(edge, full, live, users, patient, limits):
            if rates[flow] == _RISING:
                rates[flow] = level
                for link, share in routes[flow]:
                    room[link] -= share * level
                    weight[link] -= share
                    rising[link] -= 1
        live = [link for link in live if rising[link]]


_RISING = -1.0


def _stopping(
    edge: float,
    full: list[float],
    live: list[int],
    users: list[list[int]],
    patient: list[int],
    limits: Sequence[float],
) -> list[int]:
    """Return the flows that do not rise above ``edge``; some may have stopped before."""
    stopping = []
    for at, link in zip(full, live, strict=True):
        if at <= edge:
            stopping += users[link]
    for flow in reversed(patient):
        if limits[flow] > edge:
            break
        stopping.append(flow)
    return stopping
