"""Measuring links: sizes and pieces in rounds, in an order of its own each, kept as they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from hetsim.calibrate.links._registry import get_link_kind, link_kinds
from hetsim.calibrate.links._types import Session, Setting
from hetsim.calibrate.measure._device import cpu_title
from hetsim.calibrate.measure._journal import Journal, readings_of
from hetsim.calibrate.measure._machine import state
from hetsim.calibrate.measure._plan import failure
from hetsim.calibrate.measure._rounds import MOVED, order_of
from hetsim.calibrate.measure._statistics import Effort, half_width, outliers, repeat_until_tight
from hetsim.calibrate.measure._store import free_name, write_json, write_parquet
from hetsim.calibrate.measure._types import NotAvailable, Point, Reading, point
from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LinkOptions", "LinkReport", "measure_links"]

SIZES = tuple(1 << power for power in range(12, 29, 2))
PIECES = (1, 16, 256, 1024, 4096)
CUT_BYTES = 1 << 24
"""Size that is moved in more and more pieces."""
_JOURNAL = ".links.jsonl"
_SENTINEL = "sentinel/copy"
_SENTINEL_BYTES = 1 << 25


@spec
class LinkOptions:
    """What is measured."""

    kinds: tuple[str, ...] = ()
    """Empty for all."""
    quick: bool = False
    rounds: int = 5
    seed: int = 7
    largest_bytes: int = 1 << 28
    effort: Effort = Effort(least=7, most=50, visit_s=2.0, tight=0.05)

    @classmethod
    def quickly(cls, kinds: tuple[str, ...] = ()) -> LinkOptions:
        """Return the options of about two minutes."""
        effort = Effort(least=5, most=15, visit_s=0.3, tight=0.1)
        return cls(kinds=kinds, quick=True, rounds=3, largest_bytes=1 << 26, effort=effort)


@spec
class LinkReport:
    """What was measured and where it lies."""

    samples: Path
    manifest: Path
    points: int
    rounds: int
    moved: tuple[int, ...]
    unavailable: dict[str, str]
    connect_s: dict[str, float]


def measure_links(
    out: Path,
    *,
    date: str,
    options: LinkOptions | None = None,
    device: str = "auto",
    fresh: bool = False,
    tell: Callable[[int, int], None] | None = None,
) -> LinkReport:
    """Measure the links of this machine and write ``<out>/links-<date>.parquet`` and its manifest.

    What an interrupted call measured is kept; the same call goes on from it.

    Raises
    ------
    ScenarioError
        If none of the links is there, or a journal of another measurement is.
    """
    options = options or LinkOptions()
    setting = Setting(folder=out, device=device, largest_bytes=options.largest_bytes)
    before = state()
    kinds, unavailable = _available(options.kinds or link_kinds(), setting)
    if not kinds:
        said = "; ".join(f"{kind}: {why}" for kind, why in unavailable.items())
        raise ScenarioError(Problem(f"no link to measure; {said}"))
    journal = _journal(out, options, _points(kinds, options), fresh)
    connect = _rounds(journal, setting, options, tell)
    return _publish(out, journal, date, before, unavailable, connect)


def _available(
    kinds: Sequence[str], setting: Setting
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Return the operations of the links that open, and why the others do not."""
    found: dict[str, tuple[str, ...]] = {}
    unavailable: dict[str, str] = {}
    for kind in kinds:
        try:
            session: Session = get_link_kind(kind).open_link(setting)
        except NotAvailable as reason:
            unavailable[kind] = str(reason)
        except (OSError, RuntimeError, TimeoutError, AttributeError) as error:
            unavailable[kind] = failure(error)
        else:
            found[kind] = session.ops
            session.close()
    return found, unavailable


def _points(kinds: dict[str, tuple[str, ...]], options: LinkOptions) -> list[Point]:
    largest = options.largest_bytes
    sizes = [size for size in SIZES if size <= largest]
    pairs = [(size, 1) for size in sizes]
    pairs += [(CUT_BYTES, count) for count in PIECES[1:] if largest >= CUT_BYTES]
    if options.quick:
        pairs = [pair for pair in pairs if pair[1] < PIECES[-1]]
    return [
        point("links", kind, "bytes", kind, op, 0.0, size, message_bytes=size, pieces=count)
        for kind, ops in kinds.items()
        for op in ops
        for size, count in pairs
    ]


def _journal(out: Path, options: LinkOptions, points: list[Point], fresh: bool) -> Journal:
    path = out / _JOURNAL
    if fresh:
        path.unlink(missing_ok=True)
    wanted = asdict(options)
    found = Journal.find(path, wanted)
    if found is not None and [at.key for at in found.points] == [at.key for at in points]:
        return found
    made = Journal(path, {"options": wanted}, points)
    made.begin()
    return made


def _rounds(
    journal: Journal,
    setting: Setting,
    options: LinkOptions,
    tell: Callable[[int, int], None] | None,
) -> dict[str, float]:
    """Measure what is not there yet; return what opening each link took, at the median.

    One link is open at a time: some engines keep a core busy for as long as they live.
    """
    have, told = journal.done(), len(journal.visits)
    opened: dict[str, list[float]] = {}
    kinds = list(dict.fromkeys(at.kind for at in journal.points))
    total = (len(journal.points) + 1) * options.rounds
    for number in range(options.rounds):
        if (number, -1) not in have:
            _guard(journal, number)
        order = order_of(len(journal.points), options.seed, number)
        for which in order_of(len(kinds), options.seed + 1, number):
            stops = [(v, i) for v, i in enumerate(order) if journal.points[i].kind == kinds[which]]
            stops = [(visit, i) for visit, i in stops if (number, visit) not in have]
            if not stops:
                continue
            session: Session = get_link_kind(kinds[which]).open_link(setting)
            opened.setdefault(kinds[which], []).append(session.connect_s)
            with closing(session):
                for visit, i in stops:
                    _visit(journal, session, journal.points[i], options.effort, number, visit)
                    told += 1
                    if tell is not None:
                        tell(told, total)
    return {kind: median(values) for kind, values in opened.items()}


def _guard(journal: Journal, number: int) -> None:
    """Time a copy in memory, which says whether the round is as quiet as the others."""
    import numpy as np

    source = np.ones(_SENTINEL_BYTES, dtype=np.uint8)
    target = np.empty_like(source)
    readings = []
    for _ in range(9):
        started = time.perf_counter()
        np.copyto(target, source)
        readings.append(time.perf_counter() - started)
    _add(journal, number, -1, _SENTINEL, [Reading(t, t, t) for t in readings[2:]])


def _visit(
    journal: Journal, session: Session, at: Point, effort: Effort, number: int, visit: int
) -> None:
    size, pieces = at["message_bytes"], at["pieces"]

    def read() -> Reading:
        wall, cpu = time.perf_counter(), time.process_time()
        own = session.transfer(at.op, size, pieces)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return Reading(wall if own is None else own, wall, cpu)

    read()
    _add(journal, number, visit, at.key, repeat_until_tight(read, effort, time.perf_counter))


def _add(journal: Journal, number: int, visit: int, key: str, readings: Sequence[Reading]) -> None:
    journal.add(
        {
            "round": number,
            "visit": visit,
            "role": "sentinel" if visit < 0 else "",
            "point": key,
            "inner": 1,
            "half_width": half_width([reading.time_s for reading in readings]),
            "readings": [[float(f"{value:.6g}") for value in reading] for reading in readings],
        }
    )


def _moved(journal: Journal) -> dict[int, float]:
    """Return by round how far its sentinel is from the median of all rounds, as a ratio."""
    found = {
        visit["round"]: median(reading.time_s for reading in readings_of(visit))
        for visit in journal.visits
        if visit["visit"] < 0
    }
    middle = median(found.values())
    return {number: value / middle for number, value in found.items()}


def _table(journal: Journal) -> pd.DataFrame:
    import pandas as pd

    ratios = _moved(journal)
    known = {at.key: at for at in journal.points}
    rows = []
    for visit in journal.visits:
        at = known.get(visit["point"])
        if at is None:
            continue
        readings = readings_of(visit)
        wild = outliers([reading.time_s for reading in readings])
        ratio = ratios.get(visit["round"], 1.0)
        for repeat, (reading, is_wild) in enumerate(zip(readings, wild, strict=True)):
            rows.append(
                {
                    **{"kind": at.kind, "op": at.op, "point": at.key},
                    **{"bytes": at["message_bytes"], "pieces": at["pieces"]},
                    **{"round": visit["round"], "visit": visit["visit"], "repeat": repeat},
                    **{"time_s": reading.time_s, "cpu_s": reading.cpu_s, "outlier": is_wild},
                    **{"sentinel_ratio": ratio, "round_moved": abs(ratio - 1.0) > MOVED},
                }
            )
    return pd.DataFrame(rows)


def _publish(
    out: Path,
    journal: Journal,
    date: str,
    before: dict[str, Any],
    unavailable: dict[str, str],
    connect: dict[str, float],
) -> LinkReport:
    table = _table(journal)
    samples = write_parquet(free_name(out, f"links-{date}", ".parquet"), table)
    ratios = _moved(journal)
    moved = tuple(n for n, ratio in sorted(ratios.items()) if abs(ratio - 1.0) > MOVED)
    content = {
        "schema": 1,
        "date": date,
        "cpu": cpu_title(),
        "before": before,
        "after": state(),
        "options": journal.head["options"],
        "unavailable": unavailable,
        "connect_s": connect,
        "sentinel_ratios": {str(n): round(ratio, 4) for n, ratio in sorted(ratios.items())},
        "moved_rounds": list(moved),
    }
    manifest = write_json(samples.with_suffix(".json"), content)
    journal.close()
    return LinkReport(
        samples=samples,
        manifest=manifest,
        points=len(journal.points),
        rounds=len(ratios),
        moved=moved,
        unavailable=unavailable,
        connect_s=connect,
    )
