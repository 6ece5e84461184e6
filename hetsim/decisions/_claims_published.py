"""Published claims of heterogeneous serving: which are reproduced in direction, and by how much."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hetsim._version import MODEL_VERSION, __version__
from hetsim.decisions._claims_load import LoadedClaim, claim_folder, claim_names, load_claim
from hetsim.decisions._claims_run import Told, run_claim
from hetsim.decisions._claims_write import write_json, write_text
from hetsim.errors import Problem, ScenarioError

__all__ = ["markdown_published", "run_published", "span", "write_published"]

_UNKNOWN = "no set-up of it comes with hetsim"


def run_published(
    table: str | Path,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    progress: Told | None = None,
) -> dict[str, Any]:
    """Run what can be set up of a table of published claims; give the reason for every other row.

    Raises
    ------
    ScenarioError
        If the table cannot be read, or has no ``row_id`` and ``source``.
    """
    rows = _rows(Path(table))
    claims = {claim.spec.published.row: claim for claim in _claims() if claim.spec.published}
    reasons = _reasons()
    made, left = [], []
    for row in rows:
        name = row["row_id"]
        if name in claims:
            found = run_claim(claims[name], out=out, workers=workers, progress=progress)
            made.append(_reproduced(row, claims[name], found))
        else:
            reason = reasons.get(name, _UNKNOWN)
            left.append({"row": name, "source": row["source"], "reason": reason})
    found = {
        "hetsim_version": __version__,
        "model_version": MODEL_VERSION,
        "reproduced": made,
        "not_set_up": left,
    }
    if out is not None:
        write_json(Path(out) / "published.json", found)
    return found


def _claims() -> list[LoadedClaim]:
    return [load_claim(claim_folder(True) / f"{name}.yaml") for name in claim_names(True)]


def _reasons() -> dict[str, str]:
    from hetsim.spec._yaml import read_yaml

    data, _ = read_yaml(claim_folder(True) / "not_set_up.yml")
    return {str(row): " ".join(str(reason).split()) for row, reason in data.items()}


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(Problem(f"cannot be read: {error}", "--published", str(path))) from None
    missing = [name for name in ("row_id", "source") if not rows or name not in rows[0]]
    if missing:
        text = f"is no table of published claims: no {' and no '.join(missing)}"
        raise ScenarioError(Problem(text, "--published", str(path)))
    return rows


def _reproduced(
    row: Mapping[str, str], claim: LoadedClaim, found: dict[str, Any]
) -> dict[str, Any]:
    """Return the published figures beside ours, one part per test."""
    published = claim.spec.published
    assert published is not None
    ratios = [*published.ratios, *([None] * len(found["tests"]))]
    return {
        "row": row["row_id"],
        "source": row["source"],
        "name": found["name"],
        "claim": found["claim"],
        "figure": published.figure,
        "kind": published.measured,
        "direction": _DIRECTION[found["verdict"]],
        "verdict": found["verdict"],
        "depends_on": found["depends_on"],
        "parts": [
            _part(test, ratio, found["response"]["metric"])
            for test, ratio in zip(found["tests"], ratios, strict=False)
        ],
        "grades": found["grades"],
        "differs": " ".join(published.differs.split()),
    }


def _part(test: dict[str, Any], published: float | None, metric: str) -> dict[str, Any]:
    """Return one comparison: who, by how much where, and whether the direction is the same."""
    cells = [cell for cell in test["conditions"] if cell["ratio"] is not None]
    ratios = {", ".join(c["condition"].values()) or "all": c["ratio"] for c in cells}
    return {
        "first": " / ".join(test["test"]["first"]),
        "second": " / ".join(test["test"]["second"]),
        "metric": test["test"]["metric"] or metric,
        "published": published,
        "ratios": ratios,
        "low": min(ratios.values(), default=None),
        "high": max(ratios.values(), default=None),
        "direction": _DIRECTION[test["verdict"]],
        "depends_on": test["depends_on"],
    }


_DIRECTION = {"supported": "reproduced", "refuted": "not reproduced", "depends": "in part"}


def write_published(path: str | Path, found: Mapping[str, Any]) -> None:
    """Write the table as Markdown."""
    write_text(Path(path), markdown_published(found))


def markdown_published(found: Mapping[str, Any]) -> str:
    """Return the table, and what every set-up leaves out, as Markdown."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    from datetime import date

    yield "# Published heterogeneous claims"
    yield ""
    yield (
        "Made by `hetsim claims --published TABLE.csv --report calibration/HETERO.md`, hetsim "
        f"{found['hetsim_version']}, model version {found['model_version']}, {date.today()}."
    )
    yield (
        "A ratio is the first over the second, more is better (of times, the inverse); its range "
        "is over the conditions of the set-up, and what the set-up leaves out is said below."
    )
    yield ""
    yield "| row | source | kind | first / second | published | here | direction | grades |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in found["reproduced"]:
        yield from (_row(one, part) for part in one["parts"])
    yield from ("", "## Each set-up", "")
    for one in found["reproduced"]:
        yield from _set_up(one)
    yield from ("", "## Not set up", "")
    for one in found["not_set_up"]:
        yield f"* **{one['row']}, {one['source']}**: {one['reason']}"


def _row(one: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    stated = f"{part['published']:.3g}" if part["published"] else "-"
    pair = f"{part['first']} over {part['second']} ({part['metric']})"
    grades = ", ".join(one["grades"])
    return (
        f"| {one['row']} | {one['source']} | {one['kind']} | {pair} | {stated} | "
        f"{span(part)} | {part['direction']} | {grades} |"
    )


def span(part: Mapping[str, Any]) -> str:
    """Return the ratios of a part, lowest to highest.

    >>> span({"low": 1.0, "high": 2.5}), span({"low": 2.0, "high": 2.0})
    ('1.00 to 2.50', '2.00')
    """
    if part["low"] is None:
        return "-"
    low, high = f"{part['low']:.2f}", f"{part['high']:.2f}"
    return low if low == high else f"{low} to {high}"


def _set_up(one: Mapping[str, Any]) -> Iterator[str]:
    claim = " ".join(one["claim"].split())
    yield f"* **{one['row']}, {one['source']}** ({one['name']}): {claim}"
    yield f"  Published: {one['figure']}."
    for part in one["parts"]:
        told = "; ".join(f"{name} {ratio:.2f}" for name, ratio in part["ratios"].items())
        yield f"  {part['first']} over {part['second']}: {told}."
    yield f"  Differs: {one['differs']}"
