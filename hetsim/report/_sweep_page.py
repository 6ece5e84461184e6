"""The page of a sweep, from its result."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hetsim.report._chart import Figure, Table
from hetsim.report._page import flat, section
from hetsim.report._ranked import Ranked

if TYPE_CHECKING:
    from hetsim.sweep import SweepResult

__all__ = ["sweep_page"]


def sweep_page(result: SweepResult, live: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what the template shows; ``live`` is given while points are still coming."""
    import yaml

    from hetsim.report import _decisions as decisions
    from hetsim.report._explore import explored
    from hetsim.report._sweep_answer import rows_text, sweep_answer
    from hetsim.report._sweep_figures import density_figure, ranking_figure

    ranked = Ranked(result)
    found = decisions.found_decisions(result.folder)
    stated = {key: result.manifest[key] for key in ("sweep", "base") if key in result.manifest}
    counts = [(word, f"{count:,}") for word, count in result.counts.items()]
    total = len(result.points) // max(1, len(result.manifest["seeds"]))
    views = explored(ranked)
    return {
        "kind": "sweep",
        "name": str(result.manifest["name"]),
        "subtitle": _subtitle(result, total),
        "answer": sweep_answer(ranked, decisions.known_decisions(found)),
        "first": ranking_figure(ranked),
        "explore": views,
        "explore_figures": _explore_figures(ranked),
        "live": live,
        "headline": counts,
        "sections": [
            *_density(density_figure(ranked, len(views["points"]) if views else 0)),
            *_sections(ranked, found),
        ],
        "assumptions": _assumptions(result, ranked),
        "notes": [rows_text(n, why) for why, n in result.summary()["reasons"].items()],
        "capacity": [],
        "counts": Table(("points", "number"), counts),
        "grades": _grades(result),
        "manifest": flat({k: v for k, v in result.manifest.items() if k not in stated}),
        "yaml": yaml.safe_dump(stated, sort_keys=False, allow_unicode=True) if stated else "",
        "commands": ["hetsim sweep SWEEP.yaml --out DIR", "hetsim report DIR"],
    }


def _subtitle(result: SweepResult, total: int) -> str:
    seeds = len(result.manifest["seeds"])
    runs = f"{total:,} point{'s' if total != 1 else ''}, {seeds} seed{'s' if seeds != 1 else ''}"
    return f"{runs}; axes: {', '.join(result.axes)}"


def _explore_figures(ranked: Ranked) -> list[Figure]:
    from hetsim.report._sweep_figures import front_figure, parallel_figure

    return [front_figure(ranked), parallel_figure(ranked)]


def _density(figures: list[Figure]) -> list[dict[str, Any]]:
    return [section("density", "All designs", figures)] if figures else []


def _sections(ranked: Ranked, found: dict[str, Any]) -> list[dict[str, Any]]:
    from hetsim.report._decisions import decision_figures
    from hetsim.report._sensitivity import sensitivity_figures
    from hetsim.report._slo import slo_figures

    made = []
    if not ranked.table.empty:
        made = [
            section("slo", "SLO curves", slo_figures(ranked)),
            section("sensitivity", "Sensitivity", sensitivity_figures(ranked)),
        ]
    if ranked.table.empty and not found:
        return []
    parts = decision_figures(found)
    made += [
        section("interactions", "Joint decisions", parts["interactions"]),
        section("breakeven", "Break-even", parts["breakeven"]),
        section("uncertainty", "Rankings", parts["ranking"]),
        section("robustness", "Robustness", parts["robustness"]),
    ]
    return [one for one in made if one["figures"]]


def _grades(result: SweepResult) -> Table:
    """Return how many simulated rows rest on which calibration grade, and what that means."""
    from hetsim.report._answer import GRADES

    words = result.points["calibration_grade"].dropna().astype(str).value_counts()
    rows = [(g, GRADES[g], f"{int(words[g]):,}") for g in GRADES if g in words.index]
    return Table(("calibration grade", "means", "runs"), rows, left=2)


def _assumptions(result: SweepResult, ranked: Ranked) -> list[str]:
    """Return the assumptions of the recommended designs, from their scenarios."""
    from hetsim.errors import HetsimError
    from hetsim.run import assumptions
    from hetsim.scenario import load_data
    from hetsim.stages import build_plan

    lines: dict[str, None] = {}
    for text in _scenarios(result, [int(p) for p in ranked.best["point"]][:4]):
        try:
            loaded = load_data(json.loads(text), base_dir=".", file="")
            found = assumptions(loaded.scenario, build_plan(loaded.scenario, loaded.base_dir))
        except HetsimError:
            continue
        lines |= dict.fromkeys(found)
    return list(lines)


def _scenarios(result: SweepResult, points: list[int]) -> list[str]:
    import pandas as pd

    path = result.folder / "scenarios.parquet" if result.folder is not None else None
    if path is None or not path.is_file() or "content_hash" not in result.points:
        return []
    rows = result.points[result.points["point"].isin(points)].drop_duplicates("point")
    wanted = [str(one) for one in rows["content_hash"].dropna()]
    table = pd.read_parquet(path, filters=[("content_hash", "in", wanted)]) if wanted else None
    return [] if table is None else [str(text) for text in table["scenario"]]
