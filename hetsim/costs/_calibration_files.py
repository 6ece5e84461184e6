"""Reading calibration files: the only module of this room that touches the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from hetsim.costs._calibration import Calibration, Grade, Layer, Parameters, Piece
from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import Accelerator
from hetsim.spec import data_root, spec

__all__ = ["load_calibration", "read_calibration_file"]


@spec
class ShapedEntry:
    """The same kernels in the fuller form, whose work depends on shape (see ``Parameters``)."""

    t0_us: float
    e_c: float
    e_m: float
    p: float
    s0_tokens: float = 0.0
    m0: float = 0.0
    n0: float = 0.0
    k0: float = 0.0
    walk_ps: float = 0.0
    token_ps: float = 0.0
    q0: float = 0.0
    head_64: float = 1.0
    head_256: float = 1.0
    per_kv_head_ns: float = 0.0
    per_head_ns: float = 0.0
    rse: float
    points: int | None = None
    median_error_ratio: float | None = None
    p90_error_ratio: float | None = None

    def __post_init__(self) -> None:
        _check_roofline(self.e_c, self.e_m, self.p)
        sizes = [getattr(self, name) for name in ("t0_us", "rse", *_SIZES, *_SCALED)]
        if min(sizes) < 0.0 or min(self.head_64, self.head_256) <= 0.0:
            raise ValueError("no term may be negative, and head factors must be above 0")


_SIZES = ("s0_tokens", "m0", "n0", "k0", "q0")
_SCALED = {
    "walk_ps": ("walk_s", 1e-12),
    "token_ps": ("token_s", 1e-12),
    "per_kv_head_ns": ("per_kv_head_s", 1e-9),
    "per_head_ns": ("per_head_s", 1e-9),
}


def _check_roofline(e_c: float | None, e_m: float | None, p: float | None) -> None:
    for name, value in (("e_c", e_c), ("e_m", e_m)):
        if value is not None and not 0.0 < value <= 1.0:
            raise ValueError(f"{name} is {value:g}; a fraction of nominal lies in (0, 1]")
    if p is not None and not 1.0 <= p <= 8.0:
        raise ValueError(f"p is {p:g}; the smooth maximum takes 1 to 8")


@spec
class OperatorEntry:
    """One line of a calibration file. Absent efficiencies come from the next layer of evidence."""

    t0_us: float = 0.0
    e_c: float | None = None
    e_m: float | None = None
    p: float | None = None
    s0_tokens: float | None = None
    grade: Grade
    rse: float
    points: int | None = None
    median_error_ratio: float | None = None
    p90_error_ratio: float | None = None
    valid: str = ""
    source: str = ""
    note: str = ""
    shaped: ShapedEntry | None = None

    def __post_init__(self) -> None:
        _check_roofline(self.e_c, self.e_m, self.p)
        if self.t0_us < 0.0 or self.rse < 0.0 or (self.s0_tokens or 0.0) < 0.0:
            raise ValueError("t0_us, rse and s0_tokens must be at least 0")


@spec
class CollectiveEntry:
    """One kernel of a collective over a fixed number of devices."""

    t0_us: float
    bytes_per_s: float
    grade: Grade
    rse: float
    points: int | None = None
    median_error_ratio: float | None = None
    p90_error_ratio: float | None = None
    valid: str = ""
    source: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.t0_us < 0.0 or self.rse < 0.0 or self.bytes_per_s <= 0.0:
            raise ValueError("t0_us and rse must be at least 0, bytes_per_s above 0")


@spec
class CalibrationFile:
    """A file ``calibration/<accelerator>/<date>.yaml``."""

    schema: int
    accelerator: str
    date: str
    provider: str = ""
    source: str
    operators: Mapping[str, Mapping[str, OperatorEntry]]
    collectives: Mapping[str, Mapping[str, tuple[CollectiveEntry, ...]]]
    host: Mapping[str, float]
    covariance: Mapping[str, Mapping[str, float]] | None = None

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ValueError(f"schema {self.schema} is not known; this version reads schema 1")


@spec
class FamilyEntry:
    """A device or an architecture family of the built-in table."""

    family: str = ""
    source: str
    like: str = ""
    """Another entry whose values stand where this one has none."""
    operators: Mapping[str, Mapping[str, OperatorEntry]]
    collectives: Mapping[str, Mapping[str, tuple[CollectiveEntry, ...]]]


@spec
class FamilyTable:
    """``calibration/families.yaml``: what is built in until a device has its own file."""

    schema: int
    devices: Mapping[str, FamilyEntry]
    lenders: Mapping[str, tuple[str, ...]]
    """By family: which devices lend their fractions to a relative without its own, best first."""
    datasheet: Mapping[str, FamilyEntry]
    """By family: efficiencies to multiply datasheet values with; ``default`` for all others."""


def _prepared(data: Any) -> Any:
    """Write every collective as a list of pieces, and absent sections as empty ones."""
    if not isinstance(data, dict):
        return data
    made = dict(data)
    for section in ("operators", "collectives"):
        made[section] = data.get(section) or {}
    if isinstance(made["collectives"], dict):
        made["collectives"] = {
            kind: {n: [e] if isinstance(e, dict) else e for n, e in groups.items()}
            if isinstance(groups, dict)
            else groups
            for kind, groups in made["collectives"].items()
        }
    return made


def read_calibration_file(path: Path) -> CalibrationFile:
    """Return a checked calibration file.

    Raises
    ------
    ScenarioError
        With every problem: file, line, path, what was seen, what is allowed.
    """
    from hetsim.spec._check import build
    from hetsim.spec._yaml import read_yaml

    data, marks = read_yaml(path)
    prepared = _prepared(data)
    if isinstance(prepared, dict):
        prepared["host"] = prepared.get("host") or {}
    made = build(CalibrationFile, prepared, marks, str(path))
    _check_groups(made.collectives, str(path))
    return made


def _check_groups(collectives: Mapping[str, Mapping[str, Any]], file: str) -> None:
    problems = [
        Problem(f"{ranks!r} is not a number of devices of 2 or more", f"collectives.{kind}", file)
        for kind, groups in collectives.items()
        for ranks in groups
        if not (ranks.isdigit() and int(ranks) >= 2)
    ]
    if problems:
        raise ScenarioError(problems)


@lru_cache(maxsize=4)
def _family_table(root: Path) -> FamilyTable:
    from hetsim.spec._check import build
    from hetsim.spec._yaml import read_yaml

    path = root / "families.yaml"
    data, marks = read_yaml(path)
    for section in ("devices", "datasheet"):
        data[section] = {name: _prepared(entry) for name, entry in data[section].items()}
    return build(FamilyTable, data, marks, str(path))


def newest_file(root: Path, accelerator: str) -> Path | None:
    """Return the newest calibration file of a device (names are dates), or None."""
    files = sorted((root / accelerator).glob("*.yaml"))
    return files[-1] if files else None


def load_calibration(accelerator: Accelerator, root: Path | None = None) -> Calibration:
    """Return all evidence about ``accelerator``, the best first; read once per process.

    Its newest file; its line of the built-in table; the same of its relatives (``transferred``:
    fractions of nominal carry over); the efficiencies of its architecture family
    (``datasheet``).

    Raises
    ------
    ScenarioError
        If a file is malformed.
    """
    return _load(root or data_root("calibration"), accelerator.name, accelerator.family)


@lru_cache(maxsize=256)
def _load(root: Path, name: str, family: str) -> Calibration:
    table = _family_table(root)
    drafts: list[tuple[str, Grade, list[Entry]]] = [(name, "measured", _entries(root, table, name))]
    for lender in table.lenders.get(family, ()):
        if lender != name:
            drafts.append((lender, "transferred", _entries(root, table, lender)))
    for line in (family, "default"):
        if line in table.datasheet:
            drafts.append((f"family {line}", "datasheet", _chain(table.datasheet, line)))
    layers: list[Layer] = []
    for title, best, entries in reversed(drafts):
        for entry in reversed(entries):
            layers.insert(0, _layer(title, best, entry, layers))
    scale = dict.fromkeys(("all_gather", "all_reduce", "all_to_all", "p2p", "reduce_scatter"), 1.0)
    return Calibration(accelerator=name, layers=tuple(layers), collective_scale=scale)


Entry = CalibrationFile | FamilyEntry


def _entries(root: Path, table: FamilyTable, name: str) -> list[Entry]:
    file = newest_file(root, name)
    own: list[Entry] = [_file(file)] if file else []
    return own + (_chain(table.devices, name) if name in table.devices else [])


@lru_cache(maxsize=64)
def _file(path: Path) -> CalibrationFile:
    return read_calibration_file(path)


def _chain(entries: Mapping[str, FamilyEntry], name: str) -> list[Entry]:
    found: list[Entry] = []
    while name:
        found.append(entries[name])
        name = entries[name].like
    return found


def _layer(name: str, best: Grade, entry: Entry, below: list[Layer]) -> Layer:
    """Return ``entry`` as a layer; what it leaves out comes from the layers below."""
    lower = Calibration(accelerator=name, layers=tuple(below), collective_scale={})
    operators = {
        kind: {
            fmt: _parameters(line, lower.find(kind, fmt), f"{entry.source} ({name})")
            for fmt, line in formats.items()
        }
        for kind, formats in entry.operators.items()
    }
    collectives = {
        kind: {
            int(ranks): _pieces(lines, f"{entry.source} ({name})")
            for ranks, lines in groups.items()
        }
        for kind, groups in entry.collectives.items()
    }
    return Layer(name=name, best=best, operators=operators, collectives=collectives)


_BLANK = Parameters(t0_s=0.0, e_c=0.5, e_m=0.7, p=2.0)
"""Stands below the last layer; every built-in family line states all its fields, so that this is
read only for a kind that no other layer knows."""


def _parameters(line: OperatorEntry, lower: Parameters | None, source: str) -> Parameters:
    stated: dict[str, float] = {
        name: value
        for name in ("e_c", "e_m", "p", "s0_tokens")
        if (value := getattr(line, name)) is not None
    }
    stated["t0_s"] = line.t0_us * 1e-6
    rse = line.rse
    if line.shaped is not None:
        stated, rse = _shaped(line.shaped), line.shaped.rse
    base = lower or _BLANK
    # Shape terms belong to the fit that found them; only the plain fractions are inherited.
    plain = Parameters(t0_s=0.0, e_c=base.e_c, e_m=base.e_m, p=base.p, s0_tokens=base.s0_tokens)
    return replace(plain, grade=line.grade, rse=rse, source=line.source or source, **stated)


def _shaped(entry: ShapedEntry) -> dict[str, float]:
    """Return the terms of a shaped entry, in SI units."""
    same = ("e_c", "e_m", "p", "head_64", "head_256", *_SIZES)
    made: dict[str, float] = {name: getattr(entry, name) for name in same}
    made["t0_s"] = entry.t0_us * 1e-6
    for name, (field, unit) in _SCALED.items():
        made[field] = getattr(entry, name) * unit
    return made


def _pieces(lines: tuple[CollectiveEntry, ...], source: str) -> tuple[Piece, ...]:
    return tuple(
        Piece(
            t0_s=line.t0_us * 1e-6,
            s_per_byte=1.0 / line.bytes_per_s,
            grade=line.grade,
            rse=line.rse,
            source=line.source or source,
        )
        for line in lines
    )
