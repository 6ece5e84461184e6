"""Reading calibration files: the only module of this room that touches the disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from math import hypot
from pathlib import Path
from typing import Any

from hetsim.costs._calibration import Calibration, Grade, Layer, Parameters, Piece
from hetsim.costs._calibration_entries import (
    SCALED,
    SIZES,
    CalibrationFile,
    CollectiveEntry,
    FamilyEntry,
    FamilyTable,
    OperatorEntry,
    ShapedEntry,
    TableEntry,
)
from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import Accelerator
from hetsim.spec import data_root, shelved

__all__ = ["load_calibration", "read_calibration_file"]


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


def load_calibration(
    accelerator: Accelerator, root: Path | None = None, *, own: bool = True
) -> Calibration:
    """Return all evidence about ``accelerator``, the best first; read once per process.

    Its newest file; its line of the built-in table; the same of its relatives (``transferred``:
    fractions of nominal carry over, less surely); the efficiencies of its architecture family
    (``datasheet``). Without its ``own``, what would be known had it never been measured.

    Raises
    ------
    ScenarioError
        If a file is malformed.
    """
    if root is None and own:
        brought: Calibration | None = shelved("calibrations", accelerator.name)
        if brought is not None:
            return brought
    return _load(root or data_root("calibration"), accelerator.name, accelerator.family, own)


@lru_cache(maxsize=256)
def _load(root: Path, name: str, family: str, own: bool) -> Calibration:
    table = _family_table(root)
    drafts: list[tuple[str, Grade, list[Entry]]] = []
    if own:
        drafts.append((name, "measured", _entries(root, table, name)))
    for lender in table.lenders.get(name) or table.lenders.get(family, ()):
        if lender != name:
            drafts.append((lender, "transferred", _entries(root, table, lender)))
    for line in (family, "default"):
        if line in table.datasheet:
            drafts.append((f"family {line}", "datasheet", _chain(table.datasheet, line)))
    layers: list[Layer] = []
    for title, best, entries in reversed(drafts):
        for entry in reversed(entries):
            layers.insert(
                0, _doubted(_layer(title, best, entry, layers), table.transferred_rse or {})
            )
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


def _doubted(layer: Layer, errors: Mapping[str, float]) -> Layer:
    """Return a layer whose errors say that its values were measured elsewhere."""
    if layer.best != "transferred":
        return layer
    operators = {
        kind: {
            fmt: replace(old, rse=hypot(old.rse, errors.get(kind, 0.0)))
            for fmt, old in formats.items()
        }
        for kind, formats in layer.operators.items()
    }
    collectives = {
        kind: {
            ranks: tuple(
                replace(piece, rse=hypot(piece.rse, errors.get("collectives", 0.0)))
                for piece in pieces
            )
            for ranks, pieces in groups.items()
        }
        for kind, groups in layer.collectives.items()
    }
    return replace(layer, operators=operators, collectives=collectives)


_MOST_ERROR = 0.5
"""A parameter that the table does not show (a floor that is never reached) is not drawn wider."""

_BLANK = Parameters(t0_s=0.0, e_c=0.5, e_m=0.7, p=2.0)
"""Stands below the last layer; every built-in family line states all its fields, so that this is
read only for a kind that no other layer knows."""


def _parameters(line: OperatorEntry, lower: Parameters | None, source: str) -> Parameters:
    stated: dict[str, Any] = {
        name: value
        for name in ("e_c", "e_m", "p", "s0_tokens")
        if (value := getattr(line, name)) is not None
    }
    stated["t0_s"] = line.t0_us * 1e-6
    rse, errors = line.rse, line.errors
    if line.shaped is not None:
        stated, rse, errors = dict(_shaped(line.shaped)), line.shaped.rse, line.shaped.errors
    base = lower or _BLANK
    # Shape terms belong to the fit that found them; only the plain fractions are inherited.
    plain = Parameters(t0_s=0.0, e_c=base.e_c, e_m=base.e_m, p=base.p, s0_tokens=base.s0_tokens)
    stated["table"], stated["measured"] = _table(line.table), line.measured
    made = replace(plain, grade=line.grade, rse=rse, source=line.source or source, **stated)
    return replace(made, covariance=_covariance(errors)) if errors else made


def _table(entry: TableEntry | None) -> tuple[tuple[float, float], ...]:
    if entry is None:
        return ()
    return tuple((m, ps * 1e-12) for m, ps in zip(entry.m, entry.ps_per_weight, strict=True))


_TIMES = ("t0_us", "e_c", "e_m")


def _covariance(errors: Mapping[str, float]) -> tuple[tuple[float, ...], ...]:
    """Return the covariance of the logarithms of ``t0, 1/e_c, 1/e_m``, all of them times."""
    sign = {name: -1.0 if name.startswith("e_") else 1.0 for name in _TIMES}
    deviation = {name: sign[name] * min(errors.get(name, 0.0), _MOST_ERROR) for name in _TIMES}

    def pair(a: str, b: str) -> float:
        known = errors.get(f"{a}/{b}", errors.get(f"{b}/{a}", 0.0))
        return deviation[a] * deviation[b] * (1.0 if a == b else known)

    return tuple(tuple(pair(a, b) for b in _TIMES) for a in _TIMES)


def _shaped(entry: ShapedEntry) -> dict[str, float]:
    """Return the terms of a shaped entry, in SI units."""
    same = ("e_c", "e_m", "p", "head_64", "head_256", "lone_head", "fill_p", "walk_p", *SIZES)
    made: dict[str, float] = {name: getattr(entry, name) for name in same}
    made["t0_s"] = entry.t0_us * 1e-6
    for name, (field, unit) in SCALED.items():
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
