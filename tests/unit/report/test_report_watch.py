"""The report of a sweep that runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hetsim.cli import invoke
from hetsim.report import Watch
from hetsim.sweep import SweepResult, sweep

SWEEP = """
name: small
base: quickstart
axes:
  - {name: decode, path: pools.decode.instances, levels: [1, 2, 3]}
  - {name: load, path: workload.rate, levels: [5 req/s], role: condition}
replications: {seeds: [1]}
screen: {keep: all}
"""
TEXT = SWEEP.replace("base: quickstart", "base: BASE.yaml")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    from hetsim.spec import data_root

    base = (data_root("scenarios") / "quickstart.yaml").read_text(encoding="utf-8")
    assert "requests: 300" in base or "requests:" in base
    import re

    (tmp_path / "BASE.yaml").write_text(re.sub(r"requests: \d+", "requests: 20", base))
    path = tmp_path / "small.yaml"
    path.write_text(TEXT)
    return path


def test_points_that_are_not_finished_wait(file: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, dict[str, int]]] = []

    def watch(done: int, total: int, result: Any) -> None:
        assert total == 3
        partial: SweepResult = result()
        seen.append((done, partial.counts))

    whole = sweep(file, out=tmp_path / "out", workers=1, watch=watch)
    assert [done for done, _ in seen] == [1, 2, 3]
    assert seen[0][1] == {"simulated": 1, "waiting": 2}
    assert seen[-1][1] == whole.counts == {"simulated": 3}


def test_the_page_is_written_now_and_then_and_stays_at_the_end(file: Path, tmp_path: Path) -> None:
    now = [0.0]
    folder = tmp_path / "out"
    live = Watch(folder, clock=lambda: now[0])
    texts = []

    def watch(done: int, total: int, result: Any) -> None:
        live(done, total, result)
        texts.append(live.path.read_text(encoding="utf-8"))
        now[0] += 1.5

    result = sweep(file, out=folder, workers=1, watch=watch)
    assert live.written == 2  # at once, not after 1.5 s, after 3 s
    assert 'id="live" data-every=' in texts[0] and "1 of at most 3 runs" in texts[0]
    assert "2 waiting" in texts[0]
    assert texts[1] == texts[0] != texts[2]
    live.finish(result)
    text = live.path.read_text(encoding="utf-8")
    assert 'id="live" data-every=' not in text and "3 simulated" in text
    assert not list(folder.glob(".*partial"))


def test_a_sweep_that_is_interrupted_leaves_a_page_that_rests(file: Path, tmp_path: Path) -> None:
    live = Watch(tmp_path / "out")

    def watch(done: int, total: int, result: Any) -> None:
        live(done, total, result)
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), live:
        sweep(file, out=tmp_path / "out", workers=1, watch=watch)
    text = live.path.read_text(encoding="utf-8")
    assert 'id="live" data-every=' not in text
    assert "The sweep was stopped" in text


def test_the_command_leaves_the_whole_report(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert invoke(["sweep", str(file), "--out", str(out), "--workers", "1", "--watch"]) == 0
    assert f"open {out / 'report.html'} to follow" in capsys.readouterr().err
    assert "3 simulated" in (out / "report.html").read_text(encoding="utf-8")
