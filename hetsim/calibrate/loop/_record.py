"""What a loop leaves: a record as JSON, and its table for the page of validations."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hetsim._version import MODEL_VERSION, __version__
from hetsim.calibrate._write import publish
from hetsim.calibrate.loop._compare import Group, Row, groups_of

__all__ = [
    "BEGIN",
    "END",
    "free_path",
    "manifest",
    "page_with",
    "summary_groups",
    "table_text",
    "write_record",
]

BEGIN = "<!-- closed loop: begin (written by hetsim calibrate loop) -->"
END = "<!-- closed loop: end -->"

_UNITS = {"throughput": "tokens/s"}


def manifest(device: str, torch_version: str, cores: Sequence[int | None]) -> dict[str, Any]:
    """Return versions and the kind of machine; nothing that names it."""
    import numpy as np

    return {
        "hetsim": __version__,
        "model_version": MODEL_VERSION,
        "torch": torch_version,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device,
        "processes": 2,
        "threads_each": 1,
        "pinned": all(core is not None for core in cores) and len(set(cores)) == len(cores),
    }


def summary_groups(rows: Sequence[Row]) -> dict[str, list[Group]]:
    """Return the errors by quantity over all, by size and format, and by who converts."""
    return {
        "all": groups_of(rows, lambda row: "all"),
        "size and format": groups_of(rows, lambda row: f"{row.size} {row.format}"),
        "conversion": groups_of(rows, lambda row: _conversion(row)),
        "served": groups_of(rows, lambda row: "alone" if row.together == 1 else "together"),
    }


def _conversion(row: Row) -> str:
    if row.convert == "none":
        return f"none, {row.through.replace('_', ' ')}"
    narrow = row.wire if row.kv == row.format else row.kv
    return f"{narrow} at the {row.convert}" if row.convert != "both" else f"{narrow} on the wire"


def plain_row(row: Row) -> dict[str, Any]:
    """Return a row as plain data, its figures rounded to what they are worth."""
    made = asdict(row)
    for name in ("predicted_s", "measured_s", "wall_s"):
        made[name] = None if made[name] is None else float(f"{made[name]:.5g}")
    made["spread_ratio"] = round(row.spread_ratio, 4)
    return {**made, "error": round(row.error, 4)}


def free_path(out: Path, stem: str) -> Path:
    """Return ``<out>/<stem>.json``, or the next name of that kind which is free."""
    number, path = 1, out / f"{stem}.json"
    while path.exists():
        number += 1
        path = out / f"{stem}-{number}.json"
    return path


def write_record(path: Path, record: Mapping[str, Any]) -> Path:
    """Write a record whole, in place of what is there."""
    publish(path, json.dumps(record, indent=1) + "\n")
    return path


def table_text(record: Mapping[str, Any]) -> str:
    """Return the section of the page of validations that a record makes."""
    made = record["manifest"]
    rounds = record["rounds"]
    lines = [
        "## Closed loop on a real machine",
        "",
        "A random-weight decoder served by a prefill process and a decode process, one pinned",
        "thread each, that hand over real KV; kernels, links and runs were measured in the same",
        "rounds, and the prediction is `hetsim run` on the fits of that measurement. Made by",
        f"`hetsim calibrate loop` on {record['date']}: {made['device']}, torch {made['torch']},",
        f"model version {made['model_version']}. Verdict: **{record['verdict']}**.",
        "",
        f"Rounds {len(rounds)}, good on the CPU clock {sum(r['good_cpu'] for r in rounds)}, on the",
        f"wall clock {sum(r['good_wall'] for r in rounds)}; text as in one process in",
        f"{record['tokens']['same']} of {record['tokens']['checked']} cases.",
        "",
        "| target | limit | clock | rows | median error | worst | verdict |",
        "|---|---|---|---|---|---|---|",
        *(_target_line(target) for target in record["targets"]),
        "",
        "Errors are predicted / measured - 1 in percent: median of the absolute error / worst",
        "(bias); *spread* is how far the good rounds lay apart, median over the rows.",
    ]
    for title, groups in record["groups"].items():
        lines += ["", f"| {title} | quantity | rows | error | spread |", "|---|---|---|---|---|"]
        lines += [_group_line(group) for group in groups]
    return "\n".join(lines) + "\n"


def _target_line(target: Mapping[str, Any]) -> str:
    def shown(value: float | None) -> str:
        if value is None:
            return "-"
        return f"{value * 1e3:.2f} ms" if target["unit"] == "s" else f"{value:.1%}"

    cells = (
        *(target["target"], shown(target["limit"]), target["clock"], target["rows"]),
        *(shown(target["median_error"]), shown(target["worst_error"]), target["verdict"]),
    )
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _group_line(group: Mapping[str, Any]) -> str:
    error = (
        f"{100 * group['median_error']:.1f} / {100 * group['worst_error']:.0f} "
        f"({100 * group['bias']:+.0f})"
    )
    cells = (group["key"], group["quantity"].replace("_", " "), group["rows"], error)
    return f"| {' | '.join(str(cell) for cell in cells)} | {100 * group['spread']:.1f} |"


def page_with(old: str, section: str, begin: str = BEGIN, end: str = END) -> str:
    """Return a page with the section between two marks replaced, or appended if it has none.

    >>> page_with("a", "b") == page_with(page_with("a", "x"), "b")
    True
    """
    block = f"{begin}\n\n{section}\n{end}\n"
    before, found, rest = old.partition(begin)
    if not found:
        return f"{old.rstrip()}\n\n{block}"
    return before + block + rest.partition(end)[2].lstrip("\n")
