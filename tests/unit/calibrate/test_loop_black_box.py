"""The black-box pair: its processes, and that nothing is invented where no engine is there."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from hetsim.calibrate.loop.real import Engine, play
from hetsim.cli import invoke
from hetsim.errors import InfeasibleError

FAKE = """#!{python}
import json, sys, time
print(json.dumps({{"ok": True, "version": "0.0"}}), flush=True)
print(json.dumps({{"ok": True, "free": 7}}), flush=True)
for line in sys.stdin:
    order = json.loads(line)
    if order["do"] == "sleep":
        time.sleep(60)
    print(json.dumps({{"ok": True, "free": 5, "echo": order["do"]}}), flush=True)
"""


def interpreter(folder: Path, text: str) -> str:
    path = folder / "fake.py"
    path.write_text(text.format(python=sys.executable))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.skipif(sys.platform == "win32", reason="a script as an interpreter needs a shebang")
def test_an_engine_is_asked_stalled_and_killed(tmp_path: Path) -> None:
    with Engine(interpreter(tmp_path, FAKE), {}, tmp_path / "log") as engine:
        assert (engine.version, engine.free, engine.refused) == ("0.0", 7, None)
        assert engine.ask(10.0, do="look", limit_s=1.0) == {"ok": True, "free": 5, "echo": "look"}
        engine.stall()
        assert engine.ask(0.2, do="look")["why"] == "no answer in time"
        engine.wake()
        assert engine.answer(10.0)["echo"] == "look"
        engine.tell(do="sleep")
    assert not engine.alive


def test_without_an_engine_nothing_is_said(tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(InfeasibleError, match="no vLLM engine starts"):
        play(sys.executable, tell=lines.append)  # this interpreter has none
    assert lines == ["starting the prefill engine"]


def test_other_engines_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["calibrate", "loop", "--real", "trtllm"]) == 2
    assert "allowed: vllm" in capsys.readouterr().err
