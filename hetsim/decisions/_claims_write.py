"""Verdicts of claims as files: ``claims.json`` for programs, ``claims.md`` for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

__all__ = ["markdown_claims", "write_claims", "write_json", "write_text"]

Found = Mapping[str, Any]


def write_claims(folder: Path, found: Found) -> None:
    """Write both files, each whole or not at all."""
    write_json(folder / "claims.json", found)
    write_text(folder / "claims.md", markdown_claims(found))


def write_json(path: Path, found: Found) -> None:
    """Write plain data as JSON, whole or not at all."""
    from hetsim.run import plain

    write_text(path, json.dumps(plain(found), indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    import os

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.partial")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def markdown_claims(found: Found) -> str:
    """Return the table of verdicts, then every claim with its conditions."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Found) -> Iterator[str]:
    yield "# Claims and their verdicts"
    yield ""
    yield f"hetsim {found['hetsim_version']}, model version {found['model_version']}."
    yield ""
    yield "| claim | verdict | depends on | by how much | regimes | grades | confidence |"
    yield "|---|---|---|---|---|---|---|"
    for one in found["claims"]:
        grades = ", ".join(one["grades"])
        yield (
            f"| {one['name']} | {one['verdict']} | {one['depends_on'] or '-'} | {one['by']} | "
            f"{len(one['regimes'])} | {grades} | {one['confidence']:.2f} |"
        )
    for one in found["claims"]:
        yield from _claim(one, found["model_version"])


def _claim(one: Found, version: Any) -> Iterator[str]:
    yield from ("", f"## {one['name']}: {one['verdict']}", "", one["claim"], "")
    if one.get("model_version", version) != version:
        yield from (f"Kept from an earlier run, of model version {one['model_version']}.", "")
    if one["depends_on"]:
        yield from (f"Depends on {one['depends_on']}.", "")
    seeds = ", ".join(str(seed) for seed in one["seeds"])
    yield f"Response {one['response']['metric']} ({one['response']['measure']}), seeds {seeds}."
    for number, test in enumerate(one["tests"], 1):
        yield from ("", f"Part {number} ({_title(test['test'])}): {test['verdict']}.", "")
        yield "| condition | outcome | ratio | 95 % interval | first | second | seen |"
        yield "|---|---|---|---|---|---|---|"
        yield from (_row(cell) for cell in test["conditions"])


def _title(test: Found) -> str:
    if test["kind"] == "compare":
        first, second = " / ".join(test["first"]), " / ".join(test["second"])
        return f"{first} against {second}, expected {test['expect']}"
    return {"observe": "observed", "limit": "bottleneck", "joint": "pairs"}[test["kind"]]


def _row(cell: Found) -> str:
    ratio = f"{cell['ratio']:.3g}" if cell["ratio"] is not None else "-"
    span = "{:.3g} to {:.3g}".format(*cell["interval"]) if cell["interval"] else "-"
    where = ", ".join(cell["condition"].values()) or "all"
    words = (cell["first"] or "-", cell["second"] or "-", cell["says"] or "-")
    return f"| {where} | {cell['outcome']} | {ratio} | {span} | {' | '.join(words)} |"
