"""``hetsim export`` and ``hetsim observe`` as people type them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hetsim.cli import invoke

MEASURED = {
    "model_id": "m", "request_throughput": 30.0, "output_throughput": 6000.0,
    "total_input_tokens": 1000, "total_output_tokens": 200, "completed": 1,
    "mean_ttft_ms": 900.0, "mean_tpot_ms": 8.0,
}  # fmt: skip


def test_without_out_nothing_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert invoke(["export", "hetero_nvidia", "--to", "vllm"]) == 0
    out = capsys.readouterr().out
    assert "nothing was written" in out and "prefill-7.sh" in out and "boundary.wire" in out
    assert list(tmp_path.iterdir()) == []


def test_out_writes_and_says_what_is_next(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert invoke(["export", "quickstart", "--to", "vllm", "--out", str(out), "--json"]) == 0
    seen = capsys.readouterr()
    data = json.loads(seen.out)
    assert sorted(path.name for path in out.iterdir()) == data["files"]
    assert "README.md" in seen.err
    assert invoke(["export", "quickstart", "--to", "vllm", "--out", str(out)]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["export", "quickstart", "--to", "vlm"], 2, "did you mean 'vllm'"),
        (["export", "quickstart"], 2, "--to"),
        (["export", "nothing_like_it", "--to", "vllm"], 2, "nothing_like_it"),
        (["observe", "absent.json", "--scenario", "quickstart"], 2, "cannot be read"),
        (["observe", "absent.json"], 2, "--scenario"),
    ],
)
def test_wrong_input_is_one_message(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(words) == code
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error


def test_observe_prints_ratios_and_a_verdict(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    scenario, path = tmp_path / "small.yaml", tmp_path / "measured.json"
    assert invoke(["export", "quickstart", "--to", "vllm", "--out", str(tmp_path / "out")]) == 0
    text = (tmp_path / "out" / "scenario.resolved.yaml").read_text()
    scenario.write_text(text.replace("requests: 1000", "requests: 60"))
    path.write_text(json.dumps(MEASURED))
    capsys.readouterr()
    assert invoke(["observe", str(path), "--scenario", str(scenario), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    names = [row["name"] for row in data["figures"]]
    assert "ttft_s.mean" in names and data["verdict"] in ("found", "tied", "unexplained")
    assert invoke(["observe", str(path), "--scenario", str(scenario)]) == 0
    page = capsys.readouterr().out
    assert "predicted" in page and "900 ms" in page and data["says"].split(":")[0] in page
