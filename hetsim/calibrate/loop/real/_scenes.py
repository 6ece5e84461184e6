"""Scenes at the boundary of a real pair: a setting, and what was seen in it.

A scene gives rows of ``scene``, ``setting`` (what hetsim needs to play the same) and ``observed``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from statistics import median
from typing import Any

from hetsim.calibrate.loop.real._engine import Answer
from hetsim.calibrate.loop.real._stage import PAGE, Stage, outcome_of_text, reason_in

__all__ = ["SCENES", "Row", "setting"]

Row = dict[str, Any]
_PROMPT = 512
_UNREACHED_PORT = 9
"""A port on which nobody listens."""


def setting(stage_lease_s: float, event: str = "none", **more: Any) -> dict[str, Any]:
    """Return what hetsim needs to play a scene."""
    return {
        "event": event,
        "prompt_tokens": _PROMPT,
        "lease_s": stage_lease_s,
        "policy": "fail",
        "page": [PAGE, PAGE],
        "dtype": ["bf16", "bf16"],
        "declared": ["auto", "auto"],
        "tp": [1, 1],
        **more,
    }


def _row(stage: Stage, scene: str, observed: Row, event: str = "none", **more: Any) -> Row:
    return {
        "scene": scene,
        "setting": setting(stage.lease_s, event, **more),
        "observed": observed,
    }


def _pull(stage: Stage) -> list[Row]:
    """Let D fetch, then compute the same prompt itself; then die with what it has."""
    with stage.decode() as decode:
        offer = stage.offer(_PROMPT)
        got = stage.run(decode, stage.fetch(offer))
        freed = stage.freed(offer)
        own = stage.run(decode, stage.order(offer.prompt, 4))
        seen = {
            "outcome": outcome_of_text(got, own, decode),
            "held_blocks": offer.held,
            **freed,
            "tpot_s": _tpot(got),
        }
        rows = [_row(stage, "D pulls", seen)]
        offer = stage.offer(_PROMPT)
        got = stage.run(decode, stage.fetch(offer, 1))
        decode.kill()
        seen = {"outcome": "died" if got.get("ok") else "failed", "held_blocks": offer.held}
        rows.append(_row(stage, "D dies after the pull", {**seen, **stage.freed(offer)}, "after"))
    return rows


def _tpot(answer: Answer) -> float | None:
    gaps = [b - a for a, b in pairwise(answer.get("stamps_s") or [])]
    return round(median(gaps), 4) if gaps else None


def _die(stage: Stage, when: str, scene: str, **more: Any) -> list[Row]:
    with stage.decode(die=when, **more) as decode:
        offer = stage.offer(_PROMPT)
        got = stage.run(decode, stage.fetch(offer))
        decode.kill()
        seen = {"outcome": outcome_of_text(got, None, decode), "held_blocks": offer.held}
        seen |= {"read": got.get("read"), **stage.freed(offer)}
        return [_row(stage, scene, seen, when)]


def _before(stage: Stage) -> list[Row]:
    """Kill D as it is about to post its read; then make an offer to nobody."""
    rows = _die(stage, "before", "D dies before the pull")
    offer = stage.offer(_PROMPT)
    seen = {"outcome": None, "held_blocks": offer.held, **stage.freed(offer)}
    return [*rows, _row(stage, "nobody pulls", seen, "nobody")]


def _posted(stage: Stage) -> list[Row]:
    """Kill D with its read posted; by TCP, since a copy between processes is over at once."""
    return _die(stage, "posted", "D dies in the pull", environment={"UCX_TLS": "tcp"})


def _stall(stage: Stage) -> list[Row]:
    """Let the lease run out under a stalled D, which wakes and pulls blocks that have moved on."""
    with stage.decode() as decode:
        stage.run(decode, stage.order(stage.prompt(16), 2))
        offer = stage.offer(_PROMPT)
        decode.stall()
        decode.tell(**stage.fetch(offer))
        freed = stage.freed(offer)
        for _ in range(3):  # others take the place of what was given up
            stage.run(stage.prefill, stage.order(stage.prompt(30 * PAGE), 1))
        decode.wake()
        got = decode.answer(2.0 * stage.limit_s)
        own = stage.run(decode, stage.order(offer.prompt, 4))
        seen = {"outcome": outcome_of_text(got, own, decode), "held_blocks": offer.held, **freed}
    return [_row(stage, "D stalls beyond the lease, then pulls", seen, "stall")]


def _gone(stage: Stage) -> list[Row]:
    """Let D ask a P that does not answer, under both policies."""
    rows = []
    for policy in ("fail", "recompute"):
        with stage.decode(policy=policy) as decode:
            offer = stage.offer(_PROMPT)
            nobody: Row = {"remote_engine_id": "nobody", "remote_port": _UNREACHED_PORT}
            got = stage.run(decode, stage.fetch(offer, **nobody))
            own = stage.run(decode, stage.order(offer.prompt, 4))
            seen = {
                "outcome": outcome_of_text(got, own, decode),
                "ended_after_s": _first(got),
                "why": reason_in(decode.log()),
            }
        stage.freed(offer)
        scene = f"P does not answer, policy {policy}"
        rows.append(_row(stage, scene, seen, "gone", policy=policy))
    return rows


def _first(answer: Answer) -> float | None:
    stamps = answer.get("stamps_s")
    return round(stamps[0], 2) if stamps else None


_UNLIKE: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("blocks of 128 tokens at D", {"block_tokens": 128, "blocks": 32}, {"page": [PAGE, 128]}),
    ("blocks of 32 tokens at D", {"block_tokens": 32, "blocks": 128}, {"page": [PAGE, 32]}),
    ("blocks of 96 tokens at D", {"block_tokens": 96, "blocks": 42}, {"page": [PAGE, 96]}),
    ("fp32 at D", {"dtype": "float32"}, {"dtype": ["bf16", "fp32"]}),
    (
        "fp32 at D, policy recompute",
        {"dtype": "float32", "policy": "recompute"},
        {"dtype": ["bf16", "fp32"], "policy": "recompute"},
    ),
    (
        "KV in fp8 at D",
        {"kv_dtype": "fp8_e4m3"},
        {"dtype": ["bf16", "fp8_e4m3"], "declared": ["auto", "fp8_e4m3"]},
    ),
    (
        "bf16 KV that D calls bfloat16 and P auto",
        {"kv_dtype": "bfloat16"},
        {"declared": ["auto", "bfloat16"]},
    ),
    ("two ranks at D", {"tp": 2}, {"tp": [1, 2]}),
)


def _unlike(number: int) -> Callable[[Stage], list[Row]]:
    """Give D something that P has otherwise, and let it fetch."""
    words, more, differs = _UNLIKE[number]

    def play(stage: Stage) -> list[Row]:
        with stage.decode(**more) as decode:
            if decode.refused is not None:
                seen: Row = {"outcome": "not started", "why": decode.refused}
                return [_row(stage, words, seen, **differs)]
            offer = stage.offer(_PROMPT)
            got = stage.run(decode, stage.fetch(offer))
            freed = stage.freed(offer)
            own = stage.run(decode, stage.order(offer.prompt, 4))
            seen = {"outcome": outcome_of_text(got, own, decode), "held_blocks": offer.held}
            seen |= {**freed, "why": reason_in(decode.log())}
        return [_row(stage, words, seen, **differs)]

    return play


def _alone(stage: Stage) -> list[Row]:
    """Time an engine without the connector, whose transfer threads take a core each."""
    rows = []
    with stage.alone("200m") as engine:
        stage.run(engine, stage.order(stage.prompt(_PROMPT), 4))
        for tokens in (128, 512, 1024):
            got = stage.run(engine, stage.order(stage.prompt(tokens), 9))
            cpu = got.get("cpu_s") or []
            seen = {
                "prefill_s": round(cpu[0], 4) if cpu else None,
                "tpot_s": round(median(b - a for a, b in pairwise(cpu)), 5) if cpu else None,
            }
            scene = f"one engine alone, {tokens} tokens"
            rows.append(_row(stage, scene, seen, "alone", prompt_tokens=tokens))
    return rows


SCENES: Mapping[str, Callable[[Stage], list[Row]]] = {
    "alone": _alone,
    "pull": _pull,
    "before": _before,
    "posted": _posted,
    "stall": _stall,
    "gone": _gone,
    "blocks_128": _unlike(0),
    "blocks_32": _unlike(1),
    "blocks_96": _unlike(2),
    "fp32": _unlike(3),
    "fp32_recompute": _unlike(4),
    "kv_fp8": _unlike(5),
    "kv_name": _unlike(6),
    "tp_2": _unlike(7),
}
