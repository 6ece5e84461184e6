"""Records, the page section, and the exit codes of the command."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hetsim.calibrate.loop import LoopOptions, free_path, page_with, table_text, write_record
from hetsim.calibrate.loop._record import BEGIN, END, manifest
from hetsim.cli import invoke
from hetsim.errors import ScenarioError

GROUP = {
    "quantity": "prefill", "key": "30m bf16", "rows": 2, "median_error": 0.04, "worst_error": 0.1,
    "bias": -0.03, "spread": 0.02,
}  # fmt: skip
RECORD: dict[str, Any] = {
    "date": "2026-11-24",
    "verdict": "good",
    "targets": [
        {"target": "prefill time", "limit": 0.15, "unit": "ratio", "clock": "cpu", "rows": 2,
         "median_error": 0.04, "worst_error": 0.1, "verdict": "good"},
        {"target": "transfer up to 1 ms", "limit": 3e-4, "unit": "s", "clock": "wall", "rows": 0,
         "median_error": None, "worst_error": None, "verdict": "inconclusive"},
    ],
    "tokens": {"checked": 2, "same": 2, "different": []},
    "rounds": [{"good_cpu": True, "good_wall": False}],
    "groups": {"size and format": [GROUP], "conversion": [GROUP]},
    "manifest": {"device": "cpu-x", "torch": "2.13.0", "model_version": 1},
}  # fmt: skip


def test_the_section_is_replaced_and_the_rest_stays() -> None:
    page = page_with("# Page\n\ntext\n", table_text(RECORD))
    assert page.startswith("# Page\n\ntext\n\n" + BEGIN)
    assert "| prefill time | 15.0% | cpu | 2 | 4.0% | 10.0% | good |" in page
    again = page_with(page + "\n## After\n", table_text({**RECORD, "verdict": "missed"}))
    assert again.count(BEGIN) == again.count(END) == 1
    assert "**missed**" in again and "**good**" not in again
    assert again.rstrip().endswith("## After")


def test_records_never_replace_one_another(tmp_path: Path) -> None:
    paths = [write_record(free_path(tmp_path, "2026-11-24"), RECORD) for _ in range(2)]
    assert [path.name for path in paths] == ["2026-11-24.json", "2026-11-24-2.json"]
    assert json.loads(paths[0].read_text()) == RECORD
    assert not list(tmp_path.glob(".*"))


def test_the_manifest_names_versions_and_no_machine() -> None:
    import platform

    made = manifest("cpu-x", "2.13.0", (0, 1))
    assert made["pinned"] and {"hetsim", "model_version", "torch", "numpy", "python"} <= set(made)
    assert platform.node() not in json.dumps(made)
    assert not manifest("cpu-x", "2.13.0", (0, 0))["pinned"]


def test_bad_options_are_named_together() -> None:
    with pytest.raises(ScenarioError) as caught:
        LoopOptions(sizes=("31m", "x"), formats=("fp8",))
    assert len(caught.value.problems) == 3
    assert "30m" in str(caught.value)


@pytest.mark.parametrize(("verdict", "code"), [("good", 0), ("missed", 5), ("inconclusive", 6)])
def test_exit_codes_tell_noise_from_a_miss(
    verdict: str,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import hetsim.calibrate.loop as room

    def fake(options: LoopOptions, *, date: str, tell: Any) -> dict[str, Any]:
        assert options.quick and date == "2026-11-24"
        return {**RECORD, "verdict": verdict}

    monkeypatch.setattr(room, "run_loop", fake)
    page = tmp_path / "page.md"
    line = ["calibrate", "loop", "--quick", "--date", "2026-11-24", "--json"]
    assert invoke([*line, "--out", str(tmp_path / "r"), "--page", str(page)]) == code
    assert json.loads(capsys.readouterr().out)["verdict"] == verdict
    assert f"**{verdict}**" in page.read_text()
    assert (tmp_path / "r" / "2026-11-24.json").is_file()
    assert invoke(line[:-1]) == code
    assert f"verdict: {verdict}" in capsys.readouterr().out


def test_without_torch_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert invoke(["calibrate", "loop", "--quick"]) == 2
    assert "calibrate" in capsys.readouterr().err
