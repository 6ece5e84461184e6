from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import hetsim

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory whose scenario has a hostile name.

    A scenario with such a name is refused, but a directory may come from anywhere.
    """
    folder = tmp_path_factory.mktemp("report") / "run"
    hetsim.run("quickstart", sets=["workload.requests=120"], out=folder)
    for name in ("summary.json", "manifest.json", "scenario.resolved.yaml"):
        text = (folder / name).read_text(encoding="utf-8")
        assert "quickstart" in text
        (folder / name).write_text(text.replace("quickstart", HOSTILE), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def result(run_folder: Path) -> Any:
    return hetsim.load_result(run_folder)


@pytest.fixture(scope="session")
def html(run_folder: Path) -> str:
    from hetsim.report import report

    return report(run_folder).read_text(encoding="utf-8")
