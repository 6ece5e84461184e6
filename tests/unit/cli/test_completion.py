"""Shells complete commands, options and the names of shipped scenarios."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

CALL = "import sys; from hetsim.cli import main; sys.argv = ['hetsim']; main()"


def completed(words: str) -> list[str]:
    asked = {"_HETSIM_COMPLETE": "complete_bash", "COMP_WORDS": words}
    count = len(words.split(" ")) - 1
    done = subprocess.run(
        [sys.executable, "-c", CALL],
        env={**os.environ, **asked, "COMP_CWORD": str(count)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_commands_options_and_scenarios_are_completed() -> None:
    assert completed("hetsim sw") == ["sweep"]
    assert "--find-rate" in completed("hetsim run quickstart --f")
    assert completed("hetsim run quick") == ["quickstart"]
    assert completed("hetsim check no_such") == []
