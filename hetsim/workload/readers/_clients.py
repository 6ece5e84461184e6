"""The two files of a ServeGen client: rates and gap fits per window, histograms of lengths."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hetsim.workload.readers._findings import Findings, shown
from hetsim.workload.readers._sources import csv_chunks, open_text
from hetsim.workload.readers._values import text_number

__all__ = ["Client", "GapFit", "LengthHistograms", "client_files", "read_client"]

_FAMILIES = ("", "Gamma", "Weibull")
_NUMBER = r"\d+(?:\.\d*)?(?:[eE][+-]?\d{1,3})?"
_PAIR = re.compile(rf"({_NUMBER})\s*:\s*({_NUMBER})", re.ASCII)
# Atomic, so that a megabyte of text with a flaw at its end is refused in one pass.
_DICT = re.compile(rf"\{{(?>{_NUMBER}\s*:\s*{_NUMBER}(?:,\s*)?)*+\}}", re.ASCII)


class GapFit(NamedTuple):
    """Arrivals of one client in one window: requests per s, and the law of the gaps."""

    rate: float
    family: str
    shape: float


class LengthHistograms:
    """Histograms of one client's lengths in one span of time, read when they are first drawn."""

    __slots__ = ("_laws", "texts")

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts = texts
        self._laws: dict[str, tuple[Any, Any]] = {}

    def draw(self, column: str, u: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Return the lengths at the fractions ``u`` of the histogram."""
        if column not in self._laws:
            self._laws[column] = _histogram(self.texts[column])
        values, steps = self._laws[column]
        lengths: npt.NDArray[np.int64] = values[np.searchsorted(steps, u, side="right")]
        return lengths

    def mean(self, column: str) -> float:
        """Return the mean length of the histogram."""
        values, steps = _histogram(self.texts[column])
        shares = np.diff(np.concatenate(([0.0], np.asarray(steps, np.float64), [1.0])))
        return float((values * shares[: len(values)]).sum())


class Client(NamedTuple):
    """One client: fits by window start, histograms by the start of their span."""

    number: int
    windows: dict[float, GapFit]
    spans: dict[float, LengthHistograms]

    def lengths(self, start: float) -> LengthHistograms:
        """Return the histograms in force at ``start``, else the nearest: earlier ones first."""
        before = [span for span in self.spans if span <= start]
        return self.spans[max(before) if before else min(self.spans)]


def client_files(path: Path, findings: Findings) -> list[int]:
    """Return the numbers of the clients in a folder; a client without lengths is a problem."""
    if not path.is_dir():
        raise findings.fail(None, "must be a folder of chunk-*-trace.csv and chunk-*-dataset.json")
    numbers = sorted(
        int(match[1])
        for file in path.glob("chunk-*-trace.csv")
        if (match := re.fullmatch(r"chunk-(\d{1,9})-trace\.csv", file.name))
    )
    if not numbers:
        findings.add(None, "holds no chunk-*-trace.csv")
    for number in numbers:
        if not (path / f"chunk-{number}-dataset.json").is_file():
            findings.add(None, f"holds no chunk-{number}-dataset.json beside its trace")
    findings.check()
    return numbers


def read_client(number: int, folder: Path, findings: Findings) -> Client:
    """Read the two files of a client; problems go to ``findings`` under the file's own name."""
    windows = _read_windows(folder / f"chunk-{number}-trace.csv", findings)
    spans = _read_spans(folder / f"chunk-{number}-dataset.json", findings)
    if any(fit.rate > 0 for fit in windows.values()) and not spans:
        findings.add(None, f"client {number} sends requests but has no lengths")
    return Client(number, windows, spans)


def _read_windows(path: Path, findings: Findings) -> dict[float, GapFit]:
    inner = Findings(str(path))
    windows: dict[float, GapFit] = {}
    for lines, columns in csv_chunks(path, inner, 6, header=False):
        for line, *cells in zip(lines, *columns, strict=True):
            try:
                start, fit = _fit(cells)
            except ValueError as error:
                inner.add(line, str(error))
                continue
            if windows and start <= max(windows):
                inner.add(line, f"window start {start:g} does not come after the one above it")
            windows[start] = fit
    if not windows and not inner.count:
        inner.add(None, "holds no window")
    findings.adopt(inner)
    return windows


def _fit(cells: list[str]) -> tuple[float, GapFit]:
    start, rate = (
        _at_least_0(cell, name) for cell, name in zip(cells, ("window start", "rate"), strict=False)
    )
    family = cells[3].strip()
    if family not in _FAMILIES:
        raise ValueError(f"family must be Gamma, Weibull or empty; seen {shown(family)}")
    shape = _at_least_0(cells[4], "shape") if family and rate > 0 else 1.0
    if not 0.01 <= shape <= 1e4:
        raise ValueError(f"shape must lie between 0.01 and 10000; seen {shown(cells[4])}")
    if rate > 1e6:
        raise ValueError(f"rate must be below a million requests per s; seen {shown(cells[1])}")
    return start, GapFit(rate, family, shape)


def _at_least_0(cell: str, name: str) -> float:
    try:
        value = float(text_number.cell(cell))
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
    if value < 0:
        raise ValueError(f"{name} must be at least 0; seen {shown(cell)}")
    return value


def _read_spans(path: Path, findings: Findings) -> dict[float, LengthHistograms]:
    """Return the histograms that are not empty, by the start of their span."""
    inner = Findings(str(path))
    spans: dict[float, LengthHistograms] = {}
    with open_text(path, inner) as file:
        try:
            data = json.load(file)
        except (ValueError, RecursionError, OSError, EOFError) as error:
            raise inner.fail(None, f"is not JSON: {shown(str(error))}") from None
    if not isinstance(data, dict):
        raise inner.fail(None, "must be an object of windows")
    for key, entry in data.items():
        try:
            if _filled(entry):
                spans[_at_least_0(key, "window start")] = LengthHistograms(entry)
        except ValueError as error:
            inner.add(None, f"window {shown(key)}: {error}")
    findings.adopt(inner)
    return spans


def _filled(entry: object) -> bool:
    """Return whether both histograms hold something; raise if they are not histograms."""
    if not isinstance(entry, dict):
        raise ValueError(f"must hold input_tokens and output_tokens; seen {shown(entry)}")
    filled = True
    for column in ("input_tokens", "output_tokens"):
        text = entry.get(column)
        if not isinstance(text, str) or not _DICT.fullmatch(text):
            raise ValueError(f"{column} must be a text like '{{120: 0.5}}'; seen {shown(text)}")
        filled = filled and len(text) > 2
        if filled:
            _check_weights(text, column)
    return filled


def _check_weights(text: str, column: str) -> None:
    values, steps = _histogram(text)
    least = 1 if column == "input_tokens" else 0
    good = len(values) and values[0] >= least and values[-1] < 2**31 and np.isfinite(steps).all()
    if not good:
        raise ValueError(f"{column} must weigh lengths from {least} on, by chances above 0")


def _histogram(text: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the lengths with a chance above 0, and the upper edges of their chances."""
    pairs = sorted((float(length), float(chance)) for length, chance in _PAIR.findall(text))
    kept = [(length, chance) for length, chance in pairs if chance > 0]
    if not kept or not all(abs(length) < 2**53 for length, _ in kept):
        return np.zeros(0, np.int64), np.zeros(0)
    total = np.cumsum([chance for _, chance in kept])
    return np.array([round(length) for length, _ in kept]), total[:-1] / total[-1]
