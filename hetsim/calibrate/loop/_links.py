"""The links between the two processes: hand-offs of no request, and the lines through them.

A stream that sends the same hot buffer to a reader that waits for it is faster than any hand-off:
real KV leaves a prefill that has filled the caches with weights, and lands in cold pages of a
process that slept. So the links are probed by the pair itself, at lengths that no case has.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median

from hetsim.calibrate.loop._cases import Ask, Case, Handoff, tokens_room
from hetsim.transfer import LineFit, fit_line

__all__ = ["LinkSample", "fit_link_lines", "on_core", "probe_cases"]

_SHARES = (1 / 12, 0.32, 0.606, 0.884)
"""Lengths of the probes, as shares of the longest request."""

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


def probe_cases(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Return what is handed over to measure the links: each model and carrier, lengths between.

    The lengths lie between those of the cases, which are thereby held back.

    >>> from hetsim.calibrate.loop._cases import cases_of
    >>> made = probe_cases(cases_of(("30m",), ("bf16",), quick=True))
    >>> [case.asks[0].isl for case in made if case.handoff.through == "tcp"]
    [64, 247, 469, 684]
    """
    room = tokens_room(tuple(cases))
    taken = {ask.isl for case in cases for ask in case.asks}
    lengths = [_free_length(int(room * share), taken) for share in _SHARES]
    found = {(case.model, case.handoff.through): None for case in cases}
    return tuple(
        Case(f"probe {isl}", model, Handoff(model.format, model.format, through),
             (Ask(0.0, isl, 1, isl),))
        for model, through in found
        for isl in lengths
    )  # fmt: skip


def _free_length(length: int, taken: set[int]) -> int:
    """Return the next length that no case has."""
    length = max(1, length)
    while length in taken:
        length += 1
    return length


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
