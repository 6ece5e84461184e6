"""From a directory to its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.errors import Problem, ScenarioError
from hetsim.report._chart import Figure, Table

if TYPE_CHECKING:
    from hetsim.run import Result
    from hetsim.sweep import SweepResult

__all__ = ["report", "report_figures"]


def report(folder: str | Path, figures: str | Path | None = None) -> Path:
    """Write ``report.html`` into a directory of a run or a sweep, and return its path.

    The file needs no other file and no network. ``figures`` is a folder for the same figures as
    SVG and PNG.

    Raises
    ------
    ScenarioError
        If the folder holds neither a run nor a finished sweep.
    """
    from hetsim.report._html import render
    from hetsim.report._print import draw_figures

    base = Path(folder)
    page = _page(base)
    if figures is not None:
        draw_figures(_all(page), Path(figures))
    path = base / "report.html"
    part = base / ".report.html.partial"
    try:
        part.write_text(render(page), encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def report_figures(folder: str | Path) -> list[Figure]:
    """Return the figures of a report, in its order.

    Raises
    ------
    ScenarioError
        If the folder holds neither a run nor a finished sweep.
    """
    return _all(_page(Path(folder)))


def _all(page: dict[str, Any]) -> list[Figure]:
    return [page["first"], *(one for section in page["sections"] for one in section["figures"])]


def _page(base: Path) -> dict[str, Any]:
    """Return what the template shows."""
    if (base / "points.parquet").is_file():
        from hetsim.sweep import load_sweep_result

        return _sweep_page(load_sweep_result(base))
    if not (base / "summary.json").is_file():
        missing = "neither summary.json (a run) nor points.parquet (a finished sweep) is there"
        raise ScenarioError(Problem(f"is not a run directory: {missing}", "", str(base)))
    from hetsim.run import load_result

    return _run_page(load_result(base))


def _section(key: str, title: str, figures: list[Figure]) -> dict[str, Any]:
    return {"key": key, "title": title, "figures": figures}


def _run_page(result: Result) -> dict[str, Any]:
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
        "headline": headline(_finite(summary)),
        "sections": [
            _section("latency", "Latency", made.latency_figures(result)),
            _section("path", "Critical path", [made.path_figure(result)]),
            _section("stages", "Stages", made.stage_figures(result)),
            _section("ownership", "Ownership of KV", ownership_figures(result)),
            _section("transfers", "Transfers", [made.transfer_figure(result)]),
        ],
        "assumptions": [str(line) for line in summary["assumptions"]],
        "notes": [str(line) for line in summary["notes"]],
        "capacity": [f"{name}: {text}" for name, text in summary["capacity"].items()],
        "counts": _counts(summary),
        "manifest": _flat(result.manifest),
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


def _flat(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for key, value in manifest.items():
        if isinstance(value, dict):
            rows += [(f"{key}.{name}", str(item)) for name, item in value.items()]
        else:
            rows.append((key, str(value)))
    return rows


def _sweep_page(result: SweepResult) -> dict[str, Any]:
    import yaml

    from hetsim.report._sweep import ranking_figure, sweep_answer, sweep_figures

    stated = {key: result.manifest[key] for key in ("sweep", "base") if key in result.manifest}
    counts = [(word, f"{count}") for word, count in result.counts.items()]
    reasons = [f"{count} rows: {why}" for why, count in result.summary()["reasons"].items()]
    return {
        "kind": "sweep",
        "name": str(result.manifest["name"]),
        "subtitle": f"{len(result.points)} rows, axes: {', '.join(result.axes)}",
        "answer": sweep_answer(result),
        "first": ranking_figure(result),
        "headline": counts,
        "sections": [_section("front", "Pareto front", sweep_figures(result))],
        "assumptions": [],
        "notes": reasons,
        "capacity": [],
        "counts": Table(("points", "number"), counts),
        "manifest": _flat({k: v for k, v in result.manifest.items() if k not in stated}),
        "yaml": yaml.safe_dump(stated, sort_keys=False, allow_unicode=True) if stated else "",
        "commands": ["hetsim sweep SWEEP.yaml --out DIR", "hetsim report DIR"],
    }
