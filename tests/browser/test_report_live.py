"""The page of a sweep that runs loads itself anew, and rests when it is told to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from hetsim.report import sweep_report
from hetsim.sweep import SweepResult, load_sweep_result

pytestmark = pytest.mark.slow


@pytest.fixture
def result(sweep_folder: Path) -> SweepResult:
    whole = load_sweep_result(sweep_folder)
    return SweepResult(whole.points.head(20), whole.manifest, None)


def written(result: SweepResult, path: Path, says: str, **more: Any) -> None:
    live = {"says": says, "every_s": 1, "written_s": round(time.time()), "patience_s": 600}
    sweep_report(result, path, {**live, **more})


def test_new_points_appear_until_the_sweep_ends(
    look: Any, result: SweepResult, tmp_path: Path
) -> None:
    path = tmp_path / "live.html"
    written(result, path, "first.")
    page = look(path, reload=True).page
    assert "first." in page.inner_text("#live-says")
    written(result, path, "second.")
    page.get_by_text("second.").wait_for(timeout=30_000)
    sweep_report(result, path)
    page.locator("#live").wait_for(state="detached", timeout=30_000)
    page.evaluate("window.same = true")
    page.wait_for_timeout(2500)
    assert page.evaluate("window.same") is True


def test_a_page_that_is_paused_or_old_rests(look: Any, result: SweepResult, tmp_path: Path) -> None:
    path = tmp_path / "live.html"
    written(result, path, "first.", every_s=3)
    page = look(path, reload=True).page
    page.get_by_label("Pause").check()
    page.evaluate("window.same = true")
    page.wait_for_timeout(4500)
    assert page.evaluate("window.same") is True
    old = tmp_path / "old.html"
    written(result, old, "first.", written_s=round(time.time()) - 5000)
    page = look(old, reload=True).page
    page.get_by_text("the sweep may have stopped").wait_for(timeout=10_000)
