"""From a directory to its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.errors import ScenarioError
from hetsim.report._chart import Figure
from hetsim.report._page import all_figures

if TYPE_CHECKING:
    from hetsim.report._compare import Comparison
    from hetsim.sweep import SweepResult

__all__ = ["compare_report", "report", "report_figures", "sweep_report", "write_page"]


def report(folder: str | Path, figures: str | Path | None = None) -> Path:
    """Write ``report.html`` into a directory of a run or a sweep, and return its path.

    The file needs no other file and no network. ``figures`` is a folder for the same figures as
    SVG, PNG and PDF.

    Raises
    ------
    ScenarioError
        If the folder holds neither a run nor a finished sweep.
    """
    from hetsim.report._print import draw_figures

    base = Path(folder)
    page = _page(base)
    if figures is not None:
        draw_figures(all_figures(page), Path(figures))
    return write_page(page, base / "report.html")


def report_figures(folder: str | Path) -> list[Figure]:
    """Return the figures of a report, in its order.

    Raises
    ------
    ScenarioError
        If the folder holds neither a run nor a finished sweep.
    """
    return all_figures(_page(Path(folder)))


def sweep_report(result: SweepResult, path: Path, live: dict[str, Any] | None = None) -> Path:
    """Write the report of a sweep, finished or (with ``live``) still running."""
    from hetsim.report._sweep_page import sweep_page

    return write_page(sweep_page(result, live), path)


def compare_report(found: Comparison, path: Path) -> Path:
    """Write the page of a comparison."""
    from hetsim.report._compare_page import compare_page

    return write_page(compare_page(found), path)


def write_page(page: dict[str, Any], path: Path) -> Path:
    """Write a page: a reader finds the old file or the new one, never a part."""
    from hetsim.report._html import render

    part = path.with_name(f".{path.name}.partial")
    try:
        part.write_text(render(page), encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _page(base: Path) -> dict[str, Any]:
    """Return what the template shows."""
    from hetsim.run import wrong_folder

    if (base / "points.parquet").is_file():
        from hetsim.report._sweep_page import sweep_page
        from hetsim.sweep import load_sweep_result

        return sweep_page(load_sweep_result(base))
    if not (base / "summary.json").is_file():
        raise ScenarioError(wrong_folder(base, "hetsim report", ("run", "sweep")))
    from hetsim.report._page import run_page
    from hetsim.run import load_result

    return run_page(load_result(base))
