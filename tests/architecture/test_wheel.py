"""The wheel carries its data: installed elsewhere, it runs a scenario from another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def wheel(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", str(folder)]
    subprocess.run([*command, str(repo)], check=True, timeout=300)
    return next(folder.glob("hetsim-*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_every_data_room(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    for room in ("hardware_profiles/accelerators", "scenarios", "calibration"):
        assert any(name.startswith(f"hetsim/_data/{room}/") for name in names), room
    assert "hetsim/py.typed" in names


@pytest.mark.slow
def test_an_installed_wheel_runs_a_scenario_from_another_folder(wheel: Path, tmp_path: Path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    python = venv / "bin" / "python"
    site = next((venv / "lib").glob("python*")) / "site-packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*install, str(site), str(wheel)], check=True, timeout=300)
    # The dependencies are those of the suite; the package itself must come from the wheel.
    (site / "deps.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    code = "import hetsim, sys; sys.stdout.write(hetsim.__file__)"
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    where = subprocess.run(
        [str(python), "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    ).stdout
    assert where.startswith(str(site))
    for name in ("quickstart", "boundary/fnuz_faulty"):
        run = subprocess.run(
            [str(python), "-m", "hetsim", "run", name, "--json"],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert run.returncode == 0, run.stderr
        assert '"slo_attainment"' in run.stdout
