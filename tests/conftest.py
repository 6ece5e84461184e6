"""Fixtures and Hypothesis profiles shared by the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPO = Path(__file__).resolve().parent.parent

settings.register_profile("dev", max_examples=50, deadline=None)
settings.register_profile(
    "ci",
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("nightly", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))


KILLS = "tests/unit/sweep/test_sweep_kill.py::test_"
ALONE = (
    "tests/browser/test_report_explorer.py::test_2000_points_are_small_and_answer_soon",
    f"{KILLS}three_kills",
    f"{KILLS}twenty_kills",
    f"{KILLS}workers_end",
    f"{KILLS}a_worker_that_dies",
    f"{KILLS}an_interrupt",
    "tests/unit/sweep/test_sweep_cluster.py::test_a_cluster",
    "tests/unit/sweep/test_sweep_cluster.py::test_a_ray_cluster",
    "tests/unit/calibrate/test_loop_real.py",
)
"""Tests that watch the clock, or strike processes of their own at a moment: not two at a time."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave files unread that hold nothing of what is asked for: to import them takes seconds."""
    wanted = config.option.markexpr.partition(" ")[0]
    if collection_path.suffix != ".py" or wanted not in ("slow", "alone"):
        return None
    if wanted == "alone":
        kept = tuple(one.partition("::")[0] for one in ALONE)
        return None if collection_path.as_posix().endswith(kept) else True
    return None if "mark.slow" in collection_path.read_text(encoding="utf-8") else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what must run alone; refuse a slow test that the slow pass would never see."""
    for item in items:
        if item.nodeid.startswith(ALONE):
            item.add_marker(pytest.mark.alone)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    for path in sorted(slow):
        if "mark.slow" not in path.read_text(encoding="utf-8"):
            raise pytest.UsageError(f"{path}: has slow tests; write mark.slow in the file itself")


def _data_folder() -> Path:
    stated = os.environ.get("HETSIM_DATA")
    return Path(stated) if stated else REPO.parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real traces and measured tables; tests that need it are skipped without it."""
    folder = _data_folder()
    if not folder.is_dir():
        pytest.skip(f"measured data absent: no folder {folder} (set HETSIM_DATA)")
    return folder


@pytest.fixture(scope="session")
def repo() -> Path:
    """Root of the checkout."""
    return REPO
