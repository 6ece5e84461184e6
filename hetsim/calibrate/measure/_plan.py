"""Which points are measured on this device: those it has, can hold, and has time for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from zlib import crc32

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._registry import family_names, get_family
from hetsim.calibrate.measure._statistics import Effort
from hetsim.calibrate.measure._types import NotAvailable, Point, Reading
from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.spec import spec

__all__ = ["Options", "Plan", "failure", "make_plan"]


@spec
class Options:
    """What a measurement was asked for; two of one journal must agree in all of it."""

    quick: bool = False
    families: tuple[str, ...] = ()
    """Empty for all."""
    formats: tuple[str, ...] = ()
    """Empty for all that the device has."""
    rounds: int = 5
    spare_rounds: int = 3
    """How many rounds may be repeated because their sentinel moved."""
    seed: int = 7
    longest_s: float = 0.5
    """Kernels that take longer are left out."""
    round_s: float = 240.0
    """What one round may take, estimated; points are thinned evenly to that."""
    limit_s: float | None = None
    """Wall time of one call after which what there is must do; None for 29 minutes."""
    effort: Effort = Effort(visit_s=0.25)
    cold_bytes: float | None = None

    @classmethod
    def quickly(cls, **more: Any) -> Options:
        """Return the options of a measurement of less than three minutes."""
        effort = Effort(least=4, most=12, visit_s=0.12, reading_s=2e-4, tight=0.04)
        quick: dict[str, Any] = {
            "quick": True,
            "rounds": 3,
            "spare_rounds": 0,
            "longest_s": 0.05,
            "round_s": 38.0,
            "limit_s": 160.0,
            "effort": effort,
        }
        return cls(**{**quick, **more})


@spec
class Plan:
    """The points of every round, and why others are not among them."""

    points: tuple[Point, ...]
    left_out: dict[str, int]
    """Number of points by reason."""
    unavailable: dict[str, str]
    """Reason by kernel (kind, format, provider, operator)."""


class Estimate(NamedTuple):
    """What one execution of a point will take, by the device's clock and by the wall."""

    at: Point
    time_s: float
    wall_s: float


def make_plan(bench: Bench, options: Options, extra: Iterable[Point] = ()) -> Plan:
    """Return what to measure; every kernel is tried once at a small shape.

    Raises
    ------
    ScenarioError
        If nothing is left.
    """
    groups: dict[str, list[Point]] = {}
    for at in (*_candidates(options), *extra):
        groups.setdefault(at.group, []).append(at)
    estimates: dict[str, Estimate] = {}
    left_out: dict[str, int] = {}
    unavailable: dict[str, str] = {}
    memory = 0.25 * bench.device.memory_bytes
    for name, members in groups.items():
        fitting = [at for at in members if at.bytes <= memory]
        _count(left_out, "larger than a quarter of the memory", len(members) - len(fitting))
        for found in _estimate(bench, fitting, name, unavailable):
            estimates.setdefault(found.at.key, found)
    kept = _affordable(estimates, options, left_out)
    if not kept:
        reasons = "; ".join(f"{k}: {v}" for k, v in sorted(unavailable.items()))
        raise ScenarioError(Problem(f"nothing to measure on {bench.device.title}; {reasons}"))
    return Plan(points=kept, left_out=left_out, unavailable=unavailable)


def _candidates(options: Options) -> list[Point]:
    names = options.families or family_names()
    found = [at for name in names for at in get_family(name).points(options.quick)]
    known = sorted({at.format for at in found})
    for name in options.formats:
        if name not in known:
            raise ScenarioError(Problem(f"no format {name!r}; {nearest(name, known)}", "--format"))
    if options.formats:
        found = [at for at in found if at.format in options.formats]
    return found


def _count(counts: dict[str, int], reason: str, number: int) -> None:
    if number:
        counts[reason] = counts.get(reason, 0) + number


def _work(at: Point) -> float:
    return at.flops + 8.0 * at.bytes


def _estimate(
    bench: Bench, members: Sequence[Point], name: str, unavailable: dict[str, str]
) -> list[Estimate]:
    """Return estimated times of one execution, from one small and one middling shape."""
    ordered = sorted(members, key=_work)
    usable = 1e11 if bench.device.accelerated else 1e8
    while ordered:
        try:
            floor = _try(bench, ordered[0])
            break
        except NotAvailable as reason:
            failed = str(reason)
        except Exception as error:  # a library says in its own way that it lacks a kernel
            failed = failure(error)
        unavailable[name] = failed
        # A shape that a kernel refuses (too few rows) says nothing about larger ones.
        ordered = ordered[max(1, len(ordered) // 2) :] if "rows" in failed else []
    if not ordered:
        return []
    unavailable.pop(name, None)
    middle = max((at for at in ordered if _work(at) <= usable), key=_work, default=ordered[0])
    reached, work = _try(bench, middle), max(_work(middle), 1.0)
    return [
        Estimate(
            at,
            max(floor.time_s, reached.time_s / work * _work(at)),
            max(_wall(floor), _wall(reached) / work * _work(at)),
        )
        for at in ordered
    ]


def _wall(reading: Reading) -> float:
    return min(reading.wall_s, _STRETCH * reading.time_s)


def _try(bench: Bench, at: Point) -> Reading:
    call = get_family(at.family).build(at, bench)
    call(0)
    return bench.device.read(call, 1, 1, on_host=at.on_host)


def failure(error: Exception) -> str:
    """Return the first line of an error, without paths."""
    line = (str(error) or type(error).__name__).strip().splitlines()[0]
    return re.sub(r"(/[\w.\-]+){2,}", "...", line)[:120]


def _affordable(
    estimates: dict[str, Estimate], options: Options, left_out: dict[str, int]
) -> tuple[Point, ...]:
    short = [found for found in estimates.values() if found.time_s <= options.longest_s]
    _count(left_out, f"longer than {options.longest_s:g} s", len(estimates) - len(short))
    effort = options.effort
    spent, kept = 0.0, set()
    for at, _, once in _thinned(short):
        body = max(effort.least * max(once, effort.reading_s), 0.5 * effort.visit_s, 5.0 * once)
        if spent + body + _BUILD_S <= options.round_s:
            spent += body + _BUILD_S
            kept.add(at.key)
    _count(left_out, f"beyond {options.round_s:g} s a round", len(short) - len(kept))
    return tuple(found.at for found in short if found.at.key in kept)


def _thinned(short: Sequence[Estimate]) -> list[Estimate]:
    """Return the points in the order in which they are kept: kernels take turns.

    Those that carry a step get four points where others get one. Within a kernel in the order of a
    hash, since leaving out the longest would leave small shapes only.
    """
    hashed = sorted(short, key=lambda found: crc32(found.at.key.encode()))
    seen: dict[str, int] = {}
    turns: list[tuple[float, Estimate]] = []
    for found in hashed:
        group = found.at.group
        main = (found.at.kind, found.at.format, found.at.provider) in _MAIN
        turns.append((seen.get(group, 0) / (4.0 if main else 1.0), found))
        seen[group] = seen.get(group, 0) + 1
    return [found for _, found in sorted(turns, key=lambda turn: turn[0])]


_MAIN = {
    (kind, fmt, "torch")
    for kind in ("gemm", "attention_prefill", "attention_decode")
    for fmt in ("bf16", "fp32")
}
_BUILD_S = 0.01
_STRETCH = 2.5
"""How far other processes may stretch an estimate: one reading beside them says too much."""
