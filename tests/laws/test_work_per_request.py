"""What one more request costs, without a clock: Python calls and entries on the heap.

Seconds depend on the machine and on who else uses it; these counts depend on the program alone.
Each is the difference of a long and a short run, so that reading and building cancel. Bounds lie a
few per cent above what was counted: one more call per request is fine, one per step or token is
not. ``benchmarks/`` measures the seconds.
"""

from __future__ import annotations

import sys

import pytest

import hetsim.engine._clock as clock
import hetsim.run._run as running
from hetsim.run import run

pytestmark = pytest.mark.slow

SCENARIO = "scale_16p16d"
FEW, MANY = 1000, 2500
CALLS, ENTRIES, LONGER = 155.0, 9.0, 1.2
# Ten times longer outputs at a twentieth of the rate: neither run is short of blocks.
LONG = ("workload.output.mean=2000", "workload.rate=32 req/s")


def _counted(monkeypatch, requests, *sets):
    """Return (Python calls inside the simulation, heap entries made) of a run."""
    calls, entries = 0, 0
    simulate, heappop = running.simulate, clock.heappop

    def pop(queue):
        # Made is what was taken off, and what is left: an event of this very moment that nothing
        # comes before never was on the heap, though it has a number.
        nonlocal entries
        entries += 1
        return heappop(queue)

    def count(frame, kind, _):
        nonlocal calls
        calls += kind == "call"

    def watched(*args, **kwargs):
        nonlocal entries, calls
        sys.setprofile(count)
        try:
            world = simulate(*args, **kwargs)
        finally:
            sys.setprofile(None)
        calls -= entries  # ``pop`` itself
        entries += len(world.engine.queue)
        return world

    with monkeypatch.context() as patch:
        patch.setattr(running, "simulate", watched)
        patch.setattr(clock, "heappop", pop)
        run(SCENARIO, sets=(f"workload.requests={requests}", *sets))
    return calls, entries


def _per_request(monkeypatch, *sets):
    _counted(monkeypatch, 20, *sets)  # the first run of a process also imports
    few = _counted(monkeypatch, FEW, *sets)
    many = _counted(monkeypatch, MANY, *sets)
    return [(b - a) / (MANY - FEW) for a, b in zip(few, many, strict=True)]


def test_work_of_a_request_is_bounded_and_does_not_grow_with_its_output(monkeypatch):
    calls, entries = _per_request(monkeypatch)
    assert calls <= CALLS, f"{calls:.1f} Python calls per request"
    assert entries <= ENTRIES, f"{entries:.2f} heap entries per request"
    long_calls, _ = _per_request(monkeypatch, *LONG)
    assert long_calls <= LONGER * calls, f"{long_calls / calls:.2f} times the calls"
