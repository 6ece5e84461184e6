"""Blocks freed under access: whose KV a late write or a late read spoils, by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hetsim.kv import BlockPool
from hetsim.serving import Seq
from hetsim.stages._damage import Damage


def seq(number: int) -> Any:
    return Seq(number, 0.0, 16, 1, [])


def takes(damage: Damage, pool: BlockPool, one: Any, blocks: int) -> None:
    pool.take(blocks)
    one.dst_rank, one.dst_blocks = SimpleNamespace(pool=pool), blocks
    damage.granted(one)


def freed(damage: Damage, pool: BlockPool, one: Any, block_set: str) -> None:
    damage.freed(one, block_set, pool, 4)
    pool.give_back(4)


def test_a_late_write_spoils_whoever_has_the_blocks_by_then_and_nobody_before():
    """Ten blocks, four of them freed: six go out first, then those four, in order."""
    pool, wrong = BlockPool(10), {}
    damage = Damage(wrong)
    pool.take(4)
    giver, first, second, third = (seq(n) for n in range(4))
    freed(damage, pool, giver, "Ds")
    takes(damage, pool, first, 6)
    takes(damage, pool, second, 2)
    damage.landed(giver)
    assert wrong == {second: "I16"} and (first.corrupt, second.corrupt) == (0, 1)
    damage.over(giver)
    takes(damage, pool, third, 2)
    damage.landed(giver)
    assert third.corrupt == 0


def test_a_late_read_spoils_its_own_request_once_the_blocks_are_taken():
    pool, wrong = BlockPool(10), {}
    damage = Damage(wrong)
    pool.take(4)
    reader = seq(0)
    freed(damage, pool, reader, "Ps")
    pool.take(6)
    damage.landed(reader)
    assert not wrong
    pool.take(1)
    damage.landed(reader)
    assert wrong == {reader: "I16"}


def test_who_has_ended_is_not_spoilt():
    pool, wrong = BlockPool(4), {}
    damage = Damage(wrong)
    pool.take(4)
    giver, taker = seq(0), seq(1)
    freed(damage, pool, giver, "Ds")
    takes(damage, pool, taker, 4)
    taker.gone = True
    damage.landed(giver)
    assert not wrong
