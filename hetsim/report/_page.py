"""What the pages of runs, sweeps and comparisons share, and the page of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.report._chart import Figure, Table

if TYPE_CHECKING:
    from hetsim.run import Result

__all__ = ["all_figures", "flat", "run_page", "section"]


def section(key: str, title: str, figures: list[Figure]) -> dict[str, Any]:
    """Return a section of a page."""
    return {"key": key, "title": title, "figures": figures}


def all_figures(page: dict[str, Any]) -> list[Figure]:
    """Return the figures of a page in its order, those of the linked views included."""
    made = [page["first"], *page["explore_figures"]]
    return [*made, *(one for part in page["sections"] for one in part["figures"])]


def flat(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a mapping as rows; inner keys are joined by dots."""
    rows = []
    for key, value in manifest.items():
        if isinstance(value, dict):
            rows += [(f"{key}.{name}", str(item)) for name, item in value.items()]
        else:
            rows.append((key, str(value)))
    return rows


def run_page(result: Result) -> dict[str, Any]:
    """Return what the template shows of a run."""
    from hetsim.report import _run_figures as made
    from hetsim.report._answer import run_answer
    from hetsim.report._ownership import ownership_figures
    from hetsim.run import headline

    summary = result.summary
    return {
        "kind": "run",
        "name": str(summary["name"]),
        "subtitle": f"{summary['model']}, seed {summary['seed']}",
        "answer": run_answer(result),
        "first": made.limits_figure(result),
        "explore": None,
        "explore_figures": [],
        "live": None,
        "headline": headline(_finite(summary)),
        "sections": [
            section("latency", "Latency", made.latency_figures(result)),
            section("path", "Critical path", [made.path_figure(result)]),
            section("stages", "Stages", made.stage_figures(result)),
            section("ownership", "Ownership of KV", ownership_figures(result)),
            section("transfers", "Transfers", [made.transfer_figure(result)]),
        ],
        "assumptions": [str(line) for line in summary["assumptions"]],
        "notes": [str(line) for line in summary["notes"]],
        "capacity": [f"{name}: {text}" for name, text in summary["capacity"].items()],
        "counts": _counts(summary),
        "grades": None,
        "manifest": flat(result.manifest),
        "yaml": result.scenario_yaml,
        "commands": ["hetsim run scenario.resolved.yaml --out AGAIN", "hetsim report AGAIN"],
    }


def _counts(summary: dict[str, Any]) -> Table:
    rows = [(word.replace("_", " "), f"{count}") for word, count in summary["requests"].items()]
    rows += [(f"reason: {why}", f"{count}") for why, count in summary["reasons"].items()]
    rows += [(f"violation: {what}", f"{count}") for what, count in summary["violations"].items()]
    return Table(("requests", "number"), rows)


def _finite(summary: dict[str, Any]) -> dict[str, Any]:
    """Return the summary as :func:`hetsim.run.headline` reads it: a missing figure is NaN."""
    nan = float("nan")
    pairs = {
        key: {word: nan if value is None else value for word, value in summary[key].items()}
        for key in ("ttft_s", "tpot_s")
    }
    plain = {
        key: nan if summary[key] is None else summary[key]
        for key in ("slo_attainment", "goodput_req_s")
    }
    return {**summary, **pairs, **plain}
