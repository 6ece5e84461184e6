"""ServeGen client folders: fitted clients, sampled into requests from a seed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.errors import ScenarioError
from hetsim.spec import register
from hetsim.workload._streams import stream
from hetsim.workload._table import RequestTable
from hetsim.workload.readers._clients import Client, client_files, read_client
from hetsim.workload.readers._findings import Findings
from hetsim.workload.readers._options import ReadOptions

__all__ = ["is_client_folder", "read_servegen", "window_arrivals"]

_MOST_REQUESTS = 5_000_000
_BURN_IN = 50.0
"""Mean gaps that a renewal process runs before its window, so that it does not start afresh."""

_Floats = npt.NDArray[np.float64]


def is_client_folder(path: Path) -> bool:
    """Return whether a folder holds ServeGen's client files."""
    return any(path.glob("chunk-*-trace.csv"))


@register("trace_format", "servegen")
def read_servegen(
    path: Path, findings: Findings, limit: int | None, options: ReadOptions
) -> RequestTable:
    """Sample requests from the clients in a folder, window by window (600 s each).

    ``chunk-<client>-trace.csv`` holds per window the rate, the CV and a gamma or Weibull fit of
    the gaps: its shape is used, its scale is set so that the mean gap is 1/rate.
    ``chunk-<client>-dataset.json`` holds the lengths' histograms; input and output are drawn
    independently. Draws belong to (seed, client, window). Without ``window_s`` or ``limit`` the
    whole recorded time is sampled, if that is at most five million requests.
    Source: ServeGen (alibaba/ServeGen), data folder.
    """
    names = client_files(path, findings)
    clients = [read_client(number, path, findings) for number in names]
    findings.check()
    starts = _windows(clients, limit, options, findings)
    parts: list[tuple[_Floats, Any, Any, Any]] = []
    have = 0
    for start in starts:
        part = _window(clients, start, options.seed)
        parts.append(part)
        have += len(part[0])
        if limit is not None and have >= limit:
            break
    table = _table(parts, str(path), options, starts, _stated(clients) if limit is None else "")
    if not len(table):
        raise findings.fail(None, "holds no request in the windows asked for")
    return table if limit is None else table.select(np.arange(min(limit, len(table))))


def _windows(
    clients: list[Client], limit: int | None, options: ReadOptions, findings: Findings
) -> list[float]:
    """Return the starts of the windows to sample, in order."""
    starts = sorted({start for client in clients for start in client.windows})
    if options.window_s is not None:
        low, high = options.window_s
        starts = [start for start in starts if start + 600.0 > low and start < high]
    expected = sum(
        client.windows[start].rate * 600.0
        for client in clients
        for start in starts
        if start in client.windows
    )
    if limit is None and expected > _MOST_REQUESTS:
        raise _too_many(expected, findings)
    return starts


def _too_many(expected: float, findings: Findings) -> ScenarioError:
    return findings.fail(
        None,
        f"stands for about {expected:.3g} requests; give a window (start and end) or a limit",
    )


def _window(clients: list[Client], start: float, seed: int) -> tuple[_Floats, Any, Any, Any]:
    """Return times, inputs, outputs and client numbers of one window, in order of arrival."""
    times, inputs, outputs, numbers = [np.zeros(0)], [], [], []
    for client in clients:
        fit = client.windows.get(start)
        if fit is None or fit.rate == 0:
            continue
        draws = stream(seed, "servegen", client.number, round(start))
        offsets = window_arrivals(draws, fit.rate, fit.family, fit.shape, 600.0)
        law = client.lengths(start)
        u = draws.random((len(offsets), 2))
        times.append(start + offsets)
        inputs.append(law.draw("input_tokens", u[:, 0]))
        outputs.append(law.draw("output_tokens", u[:, 1]))
        numbers.append(np.full(len(offsets), client.number))
    when = np.concatenate(times)
    if not inputs:
        return when, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    order = np.argsort(when, kind="stable")
    joined = (np.concatenate(column)[order] for column in (times, inputs, outputs, numbers))
    isl, osl, number = list(joined)[1:]
    return when[order], isl, osl, number


def window_arrivals(
    draws: np.random.Generator, rate: float, family: str, shape: float, span_s: float
) -> _Floats:
    """Return the arrivals of a renewal process with mean gap 1/rate in a window, in s.

    Gaps have mean 1 and the family's shape; they are carried to seconds at the end. The process
    is cut out of a longer one, so that bursty clients do not start each window with a burst.
    """
    until = _BURN_IN + rate * span_s
    marks = np.zeros(1)
    while marks[-1] < until:
        more = int(1.1 * (until - marks[-1])) + 64
        gaps = _unit_gaps(draws, family, shape, more)
        marks = np.concatenate((marks, marks[-1] + np.cumsum(gaps)))
    inside = marks[(marks >= _BURN_IN) & (marks < until)]
    offsets: _Floats = (inside - _BURN_IN) / rate
    return offsets


def _unit_gaps(draws: np.random.Generator, family: str, shape: float, count: int) -> _Floats:
    if family == "Gamma":
        return draws.standard_gamma(shape, count) / shape
    if family == "Weibull":
        return draws.weibull(shape, count) / math.gamma(1.0 + 1.0 / shape)
    return draws.standard_exponential(count)


def _table(
    parts: list[tuple[_Floats, Any, Any, Any]],
    source: str,
    options: ReadOptions,
    starts: list[float],
    stated: str,
) -> RequestTable:
    empty: list[npt.NDArray[Any]] = [np.zeros(0)] * 4
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else empty
    when = columns[0]
    low, high = options.window_s or (starts[0] if starts else 0.0, math.inf)
    inside = (when >= low) & (when < high)
    low = max(low, starts[0]) if starts else low
    return RequestTable(
        when[inside] - low,
        *(column[inside] for column in columns[1:3]),
        source=source,
        format="servegen",
        notes=(
            f"sampled from fitted clients with seed {options.seed}; time 0 is {low:g} s",
            *([stated] if stated else []),
        ),
    )


def _stated(clients: list[Client]) -> str:
    """Return what the clients say of themselves: their rates, and means weighted by these.

    The sample follows rates and lengths window by window, so its own means differ where a client
    sends longer prompts when it sends more.
    """
    rates = [float(np.mean([fit.rate for fit in c.windows.values()])) for c in clients]
    means = [
        np.mean([[law.mean(name) for name in _COLUMNS] for law in c.spans.values()], axis=0)
        for c in clients
    ]
    if not sum(rates):
        return ""
    isl, osl = np.average(means, axis=0, weights=rates)
    return (
        f"the clients state {sum(rates):.4g} req/s; means weighted by their rates: "
        f"{isl:.0f} in, {osl:.0f} out"
    )


_COLUMNS = ("input_tokens", "output_tokens")
