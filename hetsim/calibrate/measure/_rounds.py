"""Rounds: every point once, in a new order, with sentinel kernels before, amid and after."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from statistics import median

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._journal import Journal, Visit, readings_of
from hetsim.calibrate.measure._machine import clock_mhz
from hetsim.calibrate.measure._plan import Options, failure
from hetsim.calibrate.measure._registry import get_family
from hetsim.calibrate.measure._statistics import (
    Effort,
    half_width,
    inner_count,
    outliers,
    repeat_until_tight,
)
from hetsim.calibrate.measure._types import NotAvailable, Point, Reading, point

__all__ = ["MOVED", "moved_rounds", "run_rounds", "sentinel_ratios", "stop_count"]

MOVED = 0.10
"""A round whose sentinel is further from its median than this is not to be trusted."""
LONGEST_S = 1740.0
"""Wall time of one call that states no limit: what there is by then must do."""
SENTINEL = "sentinel"
_SENTINEL_EFFORT = Effort(least=7, most=7, visit_s=1.0, reading_s=2e-3, tight=0.0)
_WARM_UPS = 2

Tell = Callable[[int, int], None]


def sentinels(accelerated: bool) -> tuple[Point, Point]:
    """Return one kernel bound by arithmetic and one bound by memory, the same in every round."""
    m, n, k = (4096, 4096, 4096) if accelerated else (128, 1024, 1024)
    elements = 1 << (26 if accelerated else 22)
    moved = 4.0 * (n * k + m * k + m * n)
    return (
        point("gemm", "gemm", "fp32", "torch", SENTINEL, 2.0 * m * n * k, moved, m=m, n=n, k=k),
        point(
            "bandwidth",
            "bandwidth",
            "fp32",
            "torch",
            SENTINEL,
            0.0,
            12.0 * elements,
            rows=1,
            columns=elements,
            passes=12,
        ),
    )


def order_of(count: int, seed: int, number: int) -> list[int]:
    """Return the order of one round: the same for the same seed, another in every round."""
    import numpy as np

    return [int(i) for i in np.random.default_rng([seed, number]).permutation(count)]


def run_rounds(
    bench: Bench,
    journal: Journal,
    options: Options,
    tell: Tell | None = None,
    now: Callable[[], float] = time.perf_counter,
    started: float | None = None,
) -> None:
    """Measure until all rounds are done, and repeat those that moved as often as allowed."""
    started = now() if started is None else started
    gc.collect()
    gc.disable()
    try:
        number = 0
        while number < options.rounds + _repeats(journal, options, number):
            if not _round(bench, journal, options, number, started, tell, now):
                return
            number += 1
    finally:
        gc.enable()


def _repeats(journal: Journal, options: Options, done: int) -> int:
    if done < options.rounds:
        return 0
    return min(options.spare_rounds, len(moved_rounds(journal)))


def _round(
    bench: Bench,
    journal: Journal,
    options: Options,
    number: int,
    started: float,
    tell: Tell | None,
    now: Callable[[], float],
) -> bool:
    """Measure one round; return False when the time is up."""
    have = journal.done()
    stops = _stops(journal.points, bench.device.accelerated, options.seed, number)
    total = len(stops) * options.rounds
    for visit, at in enumerate(stops):
        if (number, visit) not in have:
            if now() - started > (LONGEST_S if options.limit_s is None else options.limit_s):
                return False
            journal.add({"round": number, "visit": visit, **_visit(bench, options, at, now)})
            bench.forget()
        if tell is not None:
            tell(min(number * len(stops) + visit + 1, total), total)
    return True


def _stops(
    points: Sequence[Point], accelerated: bool, seed: int, number: int
) -> list[tuple[str, Point]]:
    """Return the stops of a round: points in their order, the sentinels three times between."""
    order = [("", points[i]) for i in order_of(len(points), seed, number)]
    guards = [(SENTINEL, at) for at in sentinels(accelerated)]
    half = len(order) // 2
    return [*guards, *order[:half], *guards, *order[half:], *guards]


def stop_count(points: int) -> int:
    """Return how many visits a round over so many points makes."""
    return points + 3 * len(sentinels(False))


def _visit(
    bench: Bench, options: Options, stop: tuple[str, Point], now: Callable[[], float]
) -> Visit:
    """Return what one visit found; a kernel that fails at this shape leaves no readings."""
    role, at = stop
    try:
        return {"role": role, "point": at.key, **_readings(bench, options, stop, now)}
    except (NotAvailable, RuntimeError, ValueError) as error:
        if role:
            raise
        return {"role": role, "point": at.key, "failed": failure(error), **_NOTHING}


_NOTHING: Visit = {"inner": 0, "at_s": 0.0, "mhz": None, "half_width": 0.0, "readings": []}


def _readings(
    bench: Bench, options: Options, stop: tuple[str, Point], now: Callable[[], float]
) -> Visit:
    role, at = stop
    device, effort = bench.device, _SENTINEL_EFFORT if role else options.effort
    call = get_family(at.family).build(at, bench)
    for i in range(_WARM_UPS):
        call(i)
    once = device.read(call, _WARM_UPS, 1, on_host=at.on_host)
    inner = inner_count(max(once.time_s, 0.2 * once.wall_s), effort)
    position = _WARM_UPS + 1

    def read() -> Reading:
        nonlocal position
        reading = device.read(call, position, inner, on_host=at.on_host)
        position += inner
        return reading

    begun = now()
    readings = repeat_until_tight(read, effort, now)
    times = [reading.time_s for reading in readings]
    kept = [t for t, wild in zip(times, outliers(times), strict=True) if not wild]
    return {
        "inner": inner,
        "at_s": round(begun, 3),
        "mhz": clock_mhz(),
        "half_width": min(half_width(kept), 1e9),
        "readings": [[float(f"{value:.6g}") for value in reading] for reading in readings],
    }


def sentinel_ratios(journal: Journal) -> dict[int, float]:
    """Return by round how far its sentinels are from their median over all rounds, at worst.

    1.12 means 12 % slower, 0.9 that it was 10 % faster.
    """
    times: dict[str, dict[int, list[float]]] = {}
    for visit in journal.visits:
        if visit["role"] == SENTINEL:
            by_round = times.setdefault(visit["point"], {})
            found = median(reading.time_s for reading in readings_of(visit))
            by_round.setdefault(visit["round"], []).append(found)
    ratios: dict[int, float] = {}
    for by_round in times.values():
        middle = median(value for values in by_round.values() for value in values)
        for number, values in by_round.items():
            ratio = median(values) / middle if middle > 0.0 else 1.0
            if abs(ratio - 1.0) >= abs(ratios.get(number, 1.0) - 1.0):
                ratios[number] = ratio
    return ratios


def moved_rounds(journal: Journal) -> list[int]:
    """Return the rounds whose sentinel moved by more than 10 %."""
    ratios = sentinel_ratios(journal)
    return sorted(number for number, ratio in ratios.items() if abs(ratio - 1.0) > MOVED)
