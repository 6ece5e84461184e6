"""A router that holds prompts back by what those inside speak for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hetsim.serving import Seq
from hetsim.stages._pressure import Pressure


class World:
    def __init__(self) -> None:
        self.on_end: list[Any] = []
        self.engine = SimpleNamespace(now=0.0, call_at=lambda at_s, what: what())


def made(blocks: int, part: float) -> tuple[Pressure, World, list[int]]:
    world, let_in = World(), []
    rank = SimpleNamespace(pool=SimpleNamespace(total=blocks))
    pool: Any = SimpleNamespace(
        alive=[SimpleNamespace(ranks=[rank])],
        plan=SimpleNamespace(rules=SimpleNamespace(block_tokens=16, fixed_blocks=0)),
    )
    pressure = Pressure(world, pool, part, lambda seq: let_in.append(seq.rid))  # type: ignore[arg-type]
    return pressure, world, let_in


def seq(rid: int, tokens: int = 160) -> Seq:
    return Seq(rid, 0.0, tokens - 32, 32, [])


def test_prompts_wait_in_order_until_those_inside_have_ended():
    pressure, world, let_in = made(blocks=40, part=0.5)
    first, *others = (seq(rid) for rid in range(4))
    for each in (first, *others):
        pressure.enter(each)
    assert let_in == [0, 1] and pressure.held == 2  # ten blocks each, twenty allowed
    world.engine.now = 3.0
    world.on_end[0](first, 3.0)
    assert let_in == [0, 1, 2] and pressure.held_s == 3.0


def test_one_is_always_let_in_and_a_second_attempt_waits_for_nobody():
    pressure, _, let_in = made(blocks=4, part=0.5)
    pressure.enter(seq(0))
    pressure.enter(seq(1))
    pressure.enter(seq(0))
    assert let_in == [0, 0]


def test_a_blind_router_lets_everybody_in():
    pressure, _, let_in = made(blocks=4, part=0.5)
    for rid in range(3):
        pressure.enter(seq(rid))
    pressure.blind_until_s = 1.0
    pressure.look()
    assert let_in == [0, 1, 2] and not pressure.waiting()
