"""The links between the two cores, measured as ``hetsim calibrate links`` does, and their lines."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median

from hetsim.transfer import LineFit, fit_line

__all__ = ["LINKS", "LinkSample", "fit_link_lines", "link_slice", "on_core"]

LINKS = ("tcp", "shared_memory")
_REPEATS = 7

LinkSample = tuple[str, int, float]
"""Kind of link, bytes, seconds."""


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Stay on one core inside, and wherever one was before afterwards."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def link_slice(
    sizes: Sequence[int], cores: tuple[int | None, int | None], folder: Path
) -> list[LinkSample]:
    """Measure both links once, the sender on the first core and its peer on the second."""
    from hetsim.calibrate.links import Setting, get_link_kind

    made: list[LinkSample] = []
    for kind in LINKS:
        with on_core(cores[1]):  # the peer inherits it
            setting = Setting(folder=folder, largest_bytes=max(sizes))
            session = get_link_kind(kind).open_link(setting)
        with closing(session), on_core(cores[0]):
            for size in sizes:
                times = []
                for _ in range(_REPEATS + 1):
                    started = time.perf_counter()
                    session.transfer(session.ops[0], size, 1)
                    times.append(time.perf_counter() - started)
                made.append((kind, size, median(times[1:])))
    return made


def fit_link_lines(slices: Sequence[Sequence[LinkSample]]) -> Mapping[str, LineFit]:
    """Return a fixed time and a rate for each link, from the medians over the slices.

    >>> made = fit_link_lines([[("tcp", 1000, 2e-3), ("tcp", 2000, 3e-3)]])
    >>> round(made["tcp"].fixed_s, 6), round(made["tcp"].bytes_per_s)
    (0.001, 1000000)
    """
    times: dict[tuple[str, int], list[float]] = {}
    for kind, size, seconds in (sample for part in slices for sample in part):
        times.setdefault((kind, size), []).append(seconds)
    lines = {}
    for kind in dict.fromkeys(kind for kind, _ in times):
        sizes = [size for name, size in times if name == kind]
        lines[kind] = fit_line(sizes, [median(times[kind, size]) for size in sizes])
    return lines
