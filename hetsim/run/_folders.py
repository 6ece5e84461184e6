"""What a directory holds, and what to type where it is not the kind that was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hetsim.errors import Problem

__all__ = ["folder_kind", "wrong_folder"]

_LISTED = 8
_NAMES = {"run": "a run directory", "sweep": "a finished sweep"}


def folder_kind(folder: Path) -> str:
    """Return ``run``, ``sweep``, ``unfinished sweep`` or ``search``; empty for anything else."""
    if (folder / "points.parquet").is_file() and (folder / "manifest.json").is_file():
        return "sweep"
    if (folder / "summary.json").is_file() and (folder / "manifest.json").is_file():
        return "run"
    if (folder / "search.json").is_file():
        return "search"
    return "unfinished sweep" if (folder / "journal.jsonl").is_file() else ""


def _inside(folder: Path) -> list[Path]:
    """Return the folders one level down that hold something of ours, by name."""
    try:
        found = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []
    return [path for path in found if folder_kind(path)]


def wrong_folder(folder: Path, command: str, wants: Sequence[str]) -> Problem:
    """Return a problem that says what is there instead, and the exact command to type.

    ``command`` is what the user typed (``hetsim rank``); ``wants`` are the kinds that it reads,
    the usual one first.
    """
    lines = [f"is not {' nor '.join(_NAMES[kind] for kind in wants)}: {_seen(folder)}"]
    inside = _inside(folder)
    right = [path for path in inside if folder_kind(path) in wants]
    if inside:
        more = f" and {len(inside) - _LISTED} more" if len(inside) > _LISTED else ""
        shown = ", ".join(f"{path} ({folder_kind(path)})" for path in inside[:_LISTED])
        lines.append(f"inside: {shown}{more}")
    steps = _steps(command, right) if right else [_instead(folder, command, wants)]
    lines += [f"next: {steps[0]}", *(f"      {step}" for step in steps[1:])]
    return Problem("\n  ".join(lines), "", str(folder))


def _steps(command: str, right: Sequence[Path]) -> list[str]:
    """Return the same command with the folders that it can read."""
    if command != "hetsim compare":
        runs = [path for path in right if folder_kind(path) == "run"]
        steps = [f"{command} {right[0]}"]
        if command == "hetsim report" and len(runs) > 1:
            steps.append(f"hetsim compare {runs[0]} {runs[1]}")
        return steps
    if len(right) == 1:
        return [f"{command} {right[0]} ANOTHER"]
    return [f"{command} {' '.join(str(path) for path in right[:_LISTED])}"]


def _seen(folder: Path) -> str:
    kind = folder_kind(folder)
    if not folder.exists():
        return "there is no such folder"
    if not folder.is_dir():
        return "it is a file"
    if kind:
        return f"it holds {'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    return "it holds none of hetsim's files"


def _instead(folder: Path, command: str, wants: Sequence[str]) -> str:
    """Return what makes sense with what is there, or how to make what is wanted."""
    kind = folder_kind(folder)
    if kind == "unfinished sweep" and "sweep" in wants:
        return f"hetsim sweep SWEEP --out {folder}   (the same sweep again resumes it)"
    if kind in ("run", "sweep"):
        return f"hetsim report {folder}"
    if kind == "search":
        return f"see {folder / 'search.json'}; a search has no report"
    if folder.is_file():
        return f"hetsim run {folder} --out {folder.stem}.run   (hetsim sweep, if it is a sweep)"
    if wants[0] == "run":
        return f"hetsim run quickstart --out {folder.name or 'my_run'}   (makes one)"
    if command == "hetsim breakeven":
        return f"{command} quickstart --help   (a scenario is enough)"
    return f"{command} first_sweep   (runs a shipped sweep first)"
