"""A run directory is enough to run again: what came from the catalogue is in its scenario."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hetsim
from hetsim.costs import Calibration, load_calibration
from hetsim.errors import ScenarioError
from hetsim.hardware import accelerator_names, get_accelerator, get_host, host_names
from hetsim.metrics import TABLES
from hetsim.model import get_model, model_names
from hetsim.runtimes import get_runtime, runtime_names
from hetsim.scenario import Profiles, load_scenario
from hetsim.scenario._profiles import PROFILES_MARK, dump_profiles, read_profiles
from hetsim.spec import data_root, shelved
from hetsim.spec._yaml import parse_yaml
from hetsim.transfer import get_transfer_table

SHORT = ["workload.requests=40"]


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run directory of the quickstart, its scenario stating a device by an alias."""
    out = tmp_path_factory.mktemp("runs") / "first"
    hetsim.run("quickstart", sets=SHORT, out=out)
    return out


def text_of(folder: Path) -> str:
    return (folder / "scenario.resolved.yaml").read_text(encoding="utf-8")


def changed(folder: Path, place: Path, old: str, new: str) -> Path:
    """Return the scenario of a run with one value changed, in a file of its own."""
    text = text_of(folder)
    assert old in text
    place.mkdir(exist_ok=True)
    path = place / "changed.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def same_tables(a: Path, b: Path) -> bool:
    names = [f"{name}.parquet" for name in TABLES]
    return all((a / name).read_bytes() == (b / name).read_bytes() for name in names)


def test_the_scenario_comes_first_and_the_profiles_last(first: Path):
    scenario, mark, profiles = text_of(first).partition(f"\n{PROFILES_MARK}\n")
    assert mark and profiles.startswith("profiles:\n")
    assert "\npools:" in scenario and "profiles:" not in scenario
    rooms = set(parse_yaml(profiles)[0]["profiles"])
    assert rooms == {
        "accelerators", "hosts", "models", "runtimes", "calibrations", "transfer",
    }  # fmt: skip


def test_a_run_of_a_run_is_the_same_and_says_the_same(first: Path, tmp_path: Path):
    again = hetsim.run(first / "scenario.resolved.yaml", out=tmp_path / "again")
    assert same_tables(first, tmp_path / "again")
    assert text_of(first) == text_of(tmp_path / "again")
    assert again.summary["notes"] == hetsim.load_result(first).summary["notes"]
    assert shelved("accelerators", "h100") is None, "nothing is left of it"


ALTERED = """
import sys
from pathlib import Path
from hetsim.spec import _data
_data._PACKAGE = Path(sys.argv[1]) / "hetsim"
import hetsim
print(hetsim.run(sys.argv[2], out=sys.argv[3], sets=sys.argv[4:]).summary["model"])
"""


def elsewhere(catalogue: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run in a process that looks into another catalogue."""
    command = [sys.executable, "-c", ALTERED, str(catalogue), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def altered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a catalogue in which devices are slower, calibrations gone and a preset renamed."""
    place = tmp_path_factory.mktemp("altered")
    for room in ("hardware_profiles", "calibration", "scenarios"):
        shutil.copytree(data_root(room), place / room)
    profiles = place / "hardware_profiles"
    for device in ("h100-sxm", "h200-sxm"):
        path = profiles / "accelerators" / f"{device}.yaml"
        text = path.read_text(encoding="utf-8")
        slower = re.sub(r"bandwidth: \d+ GB/s}", "bandwidth: 500 GB/s}", text, count=1)
        assert slower != text
        path.write_text(slower, encoding="utf-8")
        shutil.rmtree(place / "calibration" / device)
    (profiles / "models" / "llama-3.1-8b.yaml").unlink()
    (profiles / "runtimes" / "vllm_nixl_pull.yaml").unlink()
    (place / "calibration" / "transfer.yaml").write_text("{}", encoding="utf-8")
    return place


@pytest.mark.slow
def test_it_runs_the_same_when_the_catalogue_has_changed(
    first: Path, altered: Path, tmp_path: Path
):
    told = elsewhere(altered, str(first / "scenario.resolved.yaml"), str(tmp_path / "again"))
    assert told.returncode == 0, told.stderr
    assert same_tables(first, tmp_path / "again")


@pytest.mark.slow
def test_the_altered_catalogue_is_another_one(altered: Path, tmp_path: Path):
    """What the test above rests on: by name, nothing runs there."""
    told = elsewhere(altered, "quickstart", str(tmp_path / "never"), *SHORT)
    assert told.returncode != 0 and "llama-3.1-8b" in told.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("memory_bytes_per_s: 3350000000000.0", "memory_bytes_per_s: 1350000000000.0"),
        ("hidden: 4096", "hidden: 2048"),
        ("handoff_overhead_s: ", "handoff_overhead_s: 1"),
        ("e_m: 0.", "e_m: 0.3"),
    ],
)
def test_an_embedded_value_is_the_one_that_counts(first: Path, tmp_path: Path, old: str, new: str):
    path = changed(first, tmp_path, old, new)
    hetsim.run(path, out=tmp_path / "again")
    assert not same_tables(first, tmp_path / "again")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("hidden: 4096", "hidden: -1.5", "hidden"),
        ("memory_kind:", "memory_knd:", "unknown key; did you mean 'memory_kind'"),
        ("\n  runtimes:", "\n  runtmes:", "unknown key; did you mean 'runtimes'"),
        ("confidence: ", "confidence: not", "confidence"),
    ],
)
def test_what_is_wrong_in_it_has_file_line_and_path(
    first: Path, tmp_path: Path, old: str, new: str, message: str
):
    path = changed(first, tmp_path, old, new)
    wrong = next(
        n for n, line in enumerate(path.read_text().splitlines(), 1) if new.strip() in line
    )
    with pytest.raises(ScenarioError) as caught:
        load_scenario(path)
    (problem,) = [p for p in caught.value.problems if message in str(p)]
    assert problem.file == str(path)
    assert problem.line in (wrong, wrong + 1)  # of the value; a mapping begins below its key
    assert problem.path.startswith("profiles.")


def test_what_is_not_used_and_what_is_not_there_is_noted(first: Path):
    path = first / "scenario.resolved.yaml"
    result = hetsim.run(path, sets=["pools.decode.accelerator=h100", "pools.decode.host=null"])
    notes = [note for note in result.summary["notes"] if note.startswith("profiles.")]
    assert "profiles.accelerators: h200 is embedded and not used" in notes
    other = hetsim.run(path, sets=["pools.prefill.accelerator=h20", "pools.prefill.host=null"])
    notes = [note for note in other.summary["notes"] if note.startswith("profiles.")]
    assert "profiles.accelerators: h20 is not embedded; it came from the catalogue" in notes


def test_a_read_run_shows_its_scenario_without_them(first: Path):
    assert "profiles:" not in hetsim.load_result(first).scenario_yaml


def test_a_run_without_a_folder_does_not_write_them():
    assert "profiles:" not in hetsim.run("quickstart", sets=SHORT).scenario_yaml


def test_a_sweep_over_such_a_scenario_is_refused(first: Path):
    sweep = {
        "name": "s",
        "base": str(first / "scenario.resolved.yaml"),
        "axes": [{"name": "n", "path": "pools.decode.instances", "levels": [1, 2]}],
    }
    from hetsim.sweep import sweep_data

    with pytest.raises(ScenarioError, match=r"profiles: a sweep looks up .* take this section out"):
        sweep_data(sweep)


def test_an_own_file_is_embedded_and_may_go(tmp_path: Path):
    own = tmp_path / "mine.yaml"
    own.write_text((data_root("hardware_profiles") / "accelerators/h20-96.yaml").read_text())
    data = dict(load_scenario("quickstart", sets=SHORT).data)
    data["pools"]["decode"]["accelerator"] = str(own)
    hetsim.run(data, out=tmp_path / "first")
    own.unlink()
    hetsim.run(tmp_path / "first/scenario.resolved.yaml", out=tmp_path / "again")
    assert same_tables(tmp_path / "first", tmp_path / "again")


def back(profiles: Profiles) -> Any:
    return read_profiles(parse_yaml(dump_profiles(profiles))[0])


@pytest.mark.slow
def test_everything_in_the_catalogue_comes_back_equal():
    """Each room whole, but calibrations: those of every tenth device, which are large."""
    devices = {name: get_accelerator(name) for name in accelerator_names()}
    calibrations: dict[str, Calibration] = {
        name: load_calibration(devices[name]) for name in accelerator_names()[::10]
    }
    whole = Profiles(
        accelerators=devices,
        hosts={name: get_host(name) for name in host_names()},
        models={name: get_model(name) for name in model_names()},
        runtimes={name: get_runtime(name) for name in runtime_names()},
        calibrations=calibrations,
        transfer={"table": get_transfer_table()},
    )
    found = back(whole)
    for one in dataclasses.fields(Profiles):
        assert getattr(found, one.name) == getattr(whole, one.name), one.name


CHECKED = """
import sys
from pathlib import Path
from hetsim.spec import _data
_data._PACKAGE = Path(sys.argv[1]) / "hetsim"
from hetsim.inspect import check, explain
print(check(sys.argv[2])["calibration_grade"], len(explain(sys.argv[2])["steps"]))
"""


@pytest.mark.slow
def test_it_is_checked_and_explained_when_the_catalogue_has_changed(first: Path, altered: Path):
    path = first / "scenario.resolved.yaml"
    command = [sys.executable, "-c", CHECKED, str(altered), str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    from hetsim.inspect import check, explain

    assert told.stdout.split() == [
        check(path)["calibration_grade"],
        str(len(explain(path)["steps"])),
    ]
