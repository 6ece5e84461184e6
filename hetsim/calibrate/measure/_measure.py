"""The measurement as a whole: open, plan, run rounds, publish."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._device import Device, open_device
from hetsim.calibrate.measure._journal import Journal
from hetsim.calibrate.measure._machine import facts_of, state
from hetsim.calibrate.measure._plan import Options, make_plan
from hetsim.calibrate.measure._profile import write_profile
from hetsim.calibrate.measure._rounds import (
    moved_rounds,
    run_rounds,
    sentinel_ratios,
    stop_count,
)
from hetsim.calibrate.measure._store import free_name, sample_table, write_json, write_parquet
from hetsim.calibrate.measure._types import Point
from hetsim.spec import spec

__all__ = ["LEAST_ROUNDS", "MeasureReport", "measure"]

LEAST_ROUNDS = 3
"""Good rounds without which a measurement proves nothing."""
_JOURNAL = ".measure.jsonl"


@spec
class MeasureReport:
    """What a measurement did and where it lies."""

    device: str
    samples: Path
    manifest: Path
    profile: Path | None
    """The accelerator's profile, if it had to be written."""
    points: int
    readings: int
    rounds: int
    moved: tuple[int, ...]
    """Rounds whose sentinel moved; their samples are kept and marked."""
    left_out: dict[str, int]
    unavailable: dict[str, str]
    verdict: str
    """``good``, or ``inconclusive`` with fewer than three good rounds."""


def measure(
    out: Path | None = None,
    *,
    date: str,
    device: str | Device = "auto",
    options: Options | None = None,
    threads: int | None = None,
    extra: Iterable[Point] = (),
    fresh: bool = False,
    tell: Callable[[int, int], None] | None = None,
) -> MeasureReport:
    """Measure the device at hand and write its samples, their manifest, and a missing profile.

    ``out`` defaults to ``calibration/<device>``. What an interrupted call measured lies in a
    journal there, and the same call goes on from it; ``fresh`` throws it away. ``extra`` points
    are measured beside those of the families.

    Raises
    ------
    ScenarioError
        If torch is missing, there is no such device, or a journal of another measurement is there.
    """
    started = time.perf_counter()
    opened = device if isinstance(device, Device) else open_device(device, threads=threads)
    options = options or Options()
    folder = out or Path("calibration") / opened.slug
    bench = Bench(opened, options.cold_bytes)
    journal = _journal(folder, bench, options, tuple(extra), fresh)
    before = state()
    run_rounds(bench, journal, options, tell, started=started)
    return _publish(folder, opened, journal, options, date, before)


def _journal(
    folder: Path, bench: Bench, options: Options, extra: tuple[Point, ...], fresh: bool
) -> Journal:
    path = folder / _JOURNAL
    if fresh:
        path.unlink(missing_ok=True)
    wanted = {
        **asdict(options),
        "device": bench.device.slug,
        "extra": sorted(at.key for at in extra),
    }
    found = Journal.find(path, wanted)
    if found is not None:
        return found
    plan = make_plan(bench, options, extra)
    head = {"options": wanted, "left_out": plan.left_out, "unavailable": plan.unavailable}
    made = Journal(path, head, plan.points)
    made.begin()
    return made


def _publish(
    folder: Path,
    device: Device,
    journal: Journal,
    options: Options,
    date: str,
    before: dict[str, Any],
) -> MeasureReport:
    table = sample_table(journal, device.clock, device.accelerated)
    samples = free_name(folder, f"samples-{date}", ".parquet")
    ratios, moved = sentinel_ratios(journal), moved_rounds(journal)
    complete = _complete_rounds(journal)
    good = [number for number in complete if number not in moved]
    verdict = "good" if len(good) >= LEAST_ROUNDS else "inconclusive"
    profile = write_profile(device, table, folder, date)
    write_parquet(samples, table)
    content = {
        "schema": 1,
        "date": date,
        "device": facts_of(device),
        "before": before,
        "after": state(),
        "options": journal.head["options"],
        "points": len(journal.points),
        "readings": len(table),
        "rounds": {
            str(number): {"sentinel_ratio": round(ratio, 4), "moved": number in moved}
            for number, ratio in sorted(ratios.items())
        },
        "complete_rounds": complete,
        "verdict": verdict,
        "left_out": journal.head["left_out"],
        "unavailable": journal.head["unavailable"],
        "failed": _failed(journal),
        "samples_sha256": hashlib.sha256(samples.read_bytes()).hexdigest(),
    }
    manifest = write_json(samples.with_suffix(".json"), content)
    journal.close()
    return MeasureReport(
        device=device.slug,
        samples=samples,
        manifest=manifest,
        profile=profile,
        points=len(journal.points),
        readings=len(table),
        rounds=len(ratios),
        moved=tuple(moved),
        left_out=journal.head["left_out"],
        unavailable=journal.head["unavailable"],
        verdict=verdict,
    )


def _complete_rounds(journal: Journal) -> list[int]:
    """Return the rounds in which every stop was made."""
    visits = [visit["round"] for visit in journal.visits]
    stops = stop_count(len(journal.points))
    return [number for number in sorted(set(visits)) if visits.count(number) == stops]


def _failed(journal: Journal) -> dict[str, str]:
    """Return the points that failed, with the reason."""
    return {v["point"]: v["failed"] for v in journal.visits if "failed" in v}
