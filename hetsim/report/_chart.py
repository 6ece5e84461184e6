"""What a figure is: numbers in one of a few shapes, the table beside it, a sentence that reads it.

A function of a result makes a ``Figure``; two drawers (screen, paper) know the shapes and nothing
of results. Tests look at the numbers, never at pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "Array",
    "Bars",
    "Chart",
    "Edge",
    "Figure",
    "Graph",
    "Grid",
    "Group",
    "Line",
    "Lines",
    "Parallel",
    "ParallelAxis",
    "Points",
    "Span",
    "Spans",
    "Table",
    "si_scale",
    "time_scale",
]

Array: TypeAlias = npt.NDArray[np.float64]


class Table(NamedTuple):
    """Text in columns; the first ``left`` are words, the others numbers."""

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    left: int = 1


class Line(NamedTuple):
    """One line."""

    name: str
    x: Array
    y: Array


class Lines(NamedTuple):
    """Lines over a common axis; ``limit`` is an upright line with a text."""

    x_label: str
    y_label: str
    lines: list[Line]
    limit: tuple[float, str] | None = None
    share: bool = False
    """Whether y is a share from 0 to 1."""
    stairs: bool = False
    x_end: float | None = None


class Bars(NamedTuple):
    """Horizontal bars, one per row, each made of parts in order."""

    x_label: str
    rows: list[str]
    parts: dict[str, list[float]]
    limit: tuple[float, str] | None = None
    share: bool = False
    grouped: bool = False
    """Whether the parts stand beside each other rather than follow one another."""


class Span(NamedTuple):
    """One piece of a row, from ``start`` to ``end``; equal groups have one colour."""

    row: str
    start: float
    end: float
    group: str
    text: str


class Spans(NamedTuple):
    """A timeline: rows from top to bottom."""

    x_label: str
    rows: list[str]
    spans: list[Span]


class Group(NamedTuple):
    """Points that belong together; ``text`` appears under the pointer."""

    name: str
    x: Array
    y: Array
    text: list[str]
    joined: bool = False


class Points(NamedTuple):
    """A cloud of points."""

    x_label: str
    y_label: str
    groups: list[Group]
    log: bool = False
    limit: tuple[float, str] | None = None


class Grid(NamedTuple):
    """A heat map: a value and a text for every cell, rows from top to bottom."""

    x_label: str
    y_label: str
    columns: list[str]
    rows: list[str]
    values: Array
    """``[rows, columns]``; NaN is an empty cell."""
    text: list[list[str]]
    scale: str
    """What the colour stands for."""
    share: bool = False
    span: tuple[float, float] | None = None
    """Values of the two ends of the colours; left out: the least and the largest."""


class Edge(NamedTuple):
    """A tie between two nodes; equal kinds are drawn alike."""

    start: str
    end: str
    kind: str
    text: str


class Graph(NamedTuple):
    """Nodes on a circle and the ties between them."""

    nodes: list[str]
    edges: list[Edge]
    kinds: tuple[str, ...]
    """Kinds of edges, the strongest first."""
    x_label: str = ""


class ParallelAxis(NamedTuple):
    """One upright axis; ticks are places from 0 (bottom) to 1 and their texts."""

    name: str
    ticks: list[tuple[float, str]]


class Parallel(NamedTuple):
    """Parallel coordinates: a line for every design across all axes."""

    axes: list[ParallelAxis]
    groups: dict[str, Array]
    """Places from 0 to 1, ``[lines, axes]``, by the name of the group; the last is drawn on top."""
    x_label: str = ""


Chart: TypeAlias = Lines | Bars | Spans | Points | Grid | Graph | Parallel


class Figure(NamedTuple):
    """A figure of the report. Without a chart there is nothing to draw, and ``says`` tells why."""

    key: str
    """Name of its file and its anchor."""
    title: str
    says: str
    chart: Chart | None
    table: Table


def time_scale(largest_s: float) -> tuple[float, str]:
    """Return the factor and the unit in which seconds up to ``largest_s`` read well.

    >>> time_scale(0.02), time_scale(7.5)
    ((1000.0, 'ms'), (1.0, 's'))
    """
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if largest_s * factor >= 1.0:
            return factor, unit
    return 1e6, "us"


def si_scale(largest: float) -> tuple[float, str]:
    """Return the divisor and the prefix in which numbers up to ``largest`` read well.

    >>> si_scale(3.2e9)
    (1000000000.0, 'G')
    """
    for size, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if largest >= size:
            return size, prefix
    return 1.0, ""
