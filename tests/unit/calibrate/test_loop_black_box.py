"""The black-box pair: its processes, scenes on a made-up engine, and the record that is kept."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from hetsim.calibrate.loop.real import (
    SCENES,
    Nursery,
    judge,
    play,
    predict,
    real_page_with,
    real_table_text,
    reason_in,
    setting,
)
from hetsim.cli import invoke
from hetsim.errors import InfeasibleError, ScenarioError

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the engines are forked and speak through sockets"
)

RECORDS = Path(__file__).parents[3] / "calibration" / "loop"
PAGE = Path(__file__).parents[3] / "calibration" / "VALIDATION.md"

ENGINE = """
    import json, os, sys, time
    from pathlib import Path
    from types import SimpleNamespace as Space

    __version__ = "0.0"
    TokensPrompt = dict


    class SamplingParams:
        def __init__(self, **given):
            self.__dict__.update(given)


    class LLM:
        # Serves at once; a fetch leaves a file, which the other side reads as a notice.
        def __init__(self, model, **given):
            if given["kv_cache_dtype"] == "none":
                raise ValueError("no such format")
            self.folder, self.given = Path(model), given
            self.free, self.held, self.todo = given["num_gpu_blocks_override"] - 1, {}, None
            self.requests = {}
            pool = Space(get_num_free_blocks=lambda: self.free)
            scheduler = Space(
                kv_cache_manager=Space(block_pool=pool), has_requests=lambda: bool(self.held)
            )
            self.engine_core = Space(engine_core=Space(scheduler=scheduler))
            self.llm_engine = self

        def add_request(self, name, prompt, sampling):
            self.todo = (name, prompt["prompt_token_ids"], sampling)

        def has_unfinished_requests(self):
            return self.todo is not None

        def step(self):
            for name, (blocks, end_s) in list(self.held.items()):
                told = (self.folder / name).exists()
                if told or time.monotonic() > end_s:
                    if not told:
                        print("Releasing expired KV blocks for", name, file=sys.stderr, flush=True)
                    self.free += blocks
                    del self.held[name]
            if self.todo is None:
                return []
            (name, tokens, sampling), self.todo = self.todo, None
            asked = (sampling.extra_args or {}).get("kv_transfer_params") or {}
            handoff = None
            if asked.get("do_remote_decode"):
                blocks = -(-len(tokens) // self.given["block_size"])
                lease_s = self.given["kv_transfer_config"]["kv_connector_extra_config"]
                self.held[name] = (blocks, time.monotonic() + lease_s["kv_lease_duration"] / 20)
                self.free -= blocks
                handoff = {"request": name, "do_remote_prefill": True}
            if asked.get("do_remote_prefill"):
                import nixl._api

                nixl._api.nixl_agent().transfer(0)
                (self.folder / asked["request"]).touch()
            made = [(sum(tokens) + k) % 97 for k in range(sampling.max_tokens)]
            text = Space(token_ids=made, finish_reason="length", logprobs=None)
            return [Space(outputs=[text], kv_transfer_params=handoff)]
"""


AGENT = """
    class nixl_agent:
        def transfer(self, handle):
            return "PROC"
"""


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a vllm, a nixl and a torch that a worker finds before any real one."""
    files = {
        "vllm/__init__.py": ENGINE,
        "vllm/config.py": "KVTransferConfig = dict\n",
        "nixl/__init__.py": "",
        "nixl/_api.py": AGENT,
        "torch.py": "__version__ = '0.1'\n",
    }
    for name, text in files.items():
        path = tmp_path / "fake" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "fake"))
    return tmp_path


def spec(folder: Path, **more: Any) -> dict[str, Any]:
    made = {
        "model": str(folder),
        "load": "auto",
        "port": 1,
        "cores": "0",
        "connector": True,
        "lease_s": 6,
    }
    made |= {"policy": "fail", "die": None, "dtype": "bfloat16", "kv_dtype": "auto"}
    return {**made, "block_tokens": 32, "blocks": 8, "tp": 1, "environment": {}, **more}


@pytest.mark.slow
def test_an_engine_is_asked_stalled_and_killed(engine: Path) -> None:
    with Nursery(sys.executable, engine) as nursery:
        assert nursery.versions["vllm"] == "0.0"
        with nursery.engine(spec(engine)) as one:
            assert (one.refused, one.free) == (None, 7)
            one.stall()
            assert one.ask(0.2, do="look")["why"] == "no answer in time"
            one.wake()
            assert one.answer(10.0)["free"] == 7
        assert one.ask(0.2, do="look")["why"] == "the process has ended"
        refused = nursery.engine(spec(engine, kv_dtype="none")).refused
        assert refused == "ValueError: no such format"


@pytest.mark.slow
def test_scenes_on_a_made_up_pair(engine: Path) -> None:
    """It gives up after a twentieth of its lease, which is seen; the rest is as predicted."""
    kept: list[int] = []
    found = play(
        sys.executable, ("pull", "posted"), keep=lambda record: kept.append(len(record["scenes"]))
    )
    by_name = {row["scene"]: row for row in found["scenes"]}
    assert kept == [2, 3]
    assert by_name["D pulls"]["differs"] == []
    assert by_name["D pulls"]["observed"]["held_blocks"] == 8
    died = by_name["D dies in the pull"]
    assert died["observed"]["outcome"] == "died"
    assert (died["observed"]["freed_by"], died["observed"]["read"]) == ("lease", "PROC")
    assert len(died["differs"]) == 1
    assert "freed after" in died["differs"][0]
    again = play(sys.executable, ("pull", "posted"), done=found)
    assert again["scenes"] == found["scenes"]


def test_without_an_engine_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('none here')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    lines: list[str] = []
    with pytest.raises(InfeasibleError, match="no vLLM engine starts: ImportError: none here"):
        play(sys.executable, tell=lines.append)
    assert lines == ["importing the engine"]


def test_other_engines_and_scenes_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["calibrate", "loop", "--real", "trtllm"]) == 2
    assert "allowed: vllm" in capsys.readouterr().err
    with pytest.raises(ScenarioError, match="did you mean 'pull'"):
        play(sys.executable, ("pul",))


@pytest.mark.parametrize(
    ("event", "more", "said"),
    [
        ("none", {}, ("served", "notice")),
        ("before", {}, ("died", "lease")),
        ("posted", {}, ("died", "lease")),
        ("after", {}, ("died", "notice")),
        ("stall", {}, ("served_wrong", "lease")),
        ("gone", {}, ("failed", None)),
        ("gone", {"policy": "recompute"}, ("recomputed", None)),
        ("nobody", {}, (None, "lease")),
        ("none", {"page": [64, 128]}, ("served_wrong", "notice")),
        ("none", {"page": [64, 32]}, ("failed", "lease")),
        ("none", {"page": [64, 96]}, ("failed", "lease")),
        ("none", {"tp": [1, 2]}, ("served", "notice")),
        ("none", {"dtype": ["bf16", "fp32"], "policy": "recompute"}, ("recomputed", "lease")),
    ],
)
def test_what_the_preset_says_of_a_setting(
    event: str, more: dict[str, Any], said: tuple[str | None, str | None], tmp_path: Path
) -> None:
    found = predict(setting(6.0, event, **more), tmp_path)
    assert found is not None
    assert (found["outcome"], found["freed_by"]) == said
    assert found["held_blocks"] == 8
    if said[1] == "lease":
        assert found["freed_after_s"] == 6.0


def test_a_scene_that_was_not_played_is_not_judged() -> None:
    said = {"outcome": "served", "freed_by": "notice"}
    assert judge({"outcome": "not started"}, said) is None
    assert judge({"outcome": "served_wrong", "freed_by": "notice"}, said) == [
        "outcome: served_wrong, not served"
    ]


def test_a_reason_loses_what_varies() -> None:
    words = "Local block size 16 is not divisible by remote"
    lines = f"NIXL transfer failure: a\nERROR x] AssertionError: {words}.\nmore"
    assert reason_in(lines) == f"AssertionError: {words}"


def records() -> list[Path]:
    return sorted(RECORDS.glob("vllm-*.json"))


@pytest.mark.parametrize("path", records(), ids=lambda path: path.stem)
def test_a_kept_record_is_whole_and_names_no_machine(path: Path) -> None:
    text = path.read_text()
    record = json.loads(text)
    assert record["schema"] == 2
    assert {"vllm", "nixl", "torch", "hetsim", "model_version"} <= set(record["versions"])
    assert {row["part"] for row in record["scenes"]} == set(SCENES)
    assert "/tmp" not in text
    assert "/work" not in text
    assert "127.0.0.1" not in text


@pytest.mark.parametrize("path", records(), ids=lambda path: path.stem)
def test_hetsim_still_says_of_a_kept_record_what_it_said(path: Path, tmp_path: Path) -> None:
    for row in json.loads(path.read_text())["scenes"]:
        said = predict(row["setting"], tmp_path)
        assert judge(row["observed"], said) == row["differs"], row["scene"]


@pytest.mark.skipif(not records(), reason="no record is kept")
def test_the_page_shows_the_last_record() -> None:
    record = json.loads(records()[-1].read_text())
    page = PAGE.read_text()
    assert real_page_with(page, real_table_text(record)) == page
