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


ALONE = (
    "tests/browser/",
    "tests/unit/sweep/test_sweep_kill.py",
    "tests/unit/sweep/test_sweep_cluster.py",
    "tests/unit/calibrate/test_loop_real.py",
)
"""Tests that watch the clock or start processes of their own: not two at a time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what must run alone."""
    for item in items:
        if item.nodeid.startswith(ALONE):
            item.add_marker(pytest.mark.alone)


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
