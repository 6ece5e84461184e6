"""Looks for requests that wait for each other's blocks, over the two stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.faults import Deadlock, Store, Waiter, find_deadlock
from hetsim.serving import Instance, Seq
from hetsim.stages._pool import PoolStage
from hetsim.stages._world import FAILED, World

if TYPE_CHECKING:
    from hetsim.stages._guard import Guard

__all__ = ["DeadlockWatch", "deadlock_at_end"]

LOOK_S = 1.0
"""How often a run that asks for it looks for deadlocks."""


def _stores(world: World, pools: list[PoolStage]) -> list[Store]:
    """Return the KV blocks of every living instance: free, held by requests, waited for."""
    stores: dict[Instance, Store] = {}
    for pool in pools:
        for instance in pool.alive:
            free = sum(rank.pool.available for rank in instance.ranks)
            store = Store(f"{pool.plan.name}/{instance.index}", free)
            stores[instance] = store
            for rank in instance.ranks:
                for seq in rank.waiting:
                    if not seq.gone:
                        store.waits.append(Waiter(seq.rid, rank.demand(seq)[0]))
            for seq in pool.credit[instance.index]:
                if not seq.gone:
                    tokens = seq.transfer_tokens + (
                        max(0, seq.declared - seq.out) if pool.plan.rules.reserve_output else 0
                    )
                    blocks = -(-tokens // pool.plan.rules.block_tokens)
                    store.waits.append(Waiter(seq.rid, blocks + pool.plan.rules.fixed_blocks))
    for seq in world.inside.values():
        _hold(seq, stores)
    return [*stores.values(), *_between(world.transit)]


def _between(transit: Any) -> list[Store]:
    """Return the room for copies between the stages; what a pool may evict counts as free."""
    if transit is None:
        return []
    found = []
    for number, store in enumerate(transit.stores):
        made = Store(f"transit/{number}", store.free)
        for seq in transit.queues[number]:
            if not seq.gone:
                made.waits.append(Waiter(seq.rid, transit.pages_of(seq)))
        for held, entry, seq in transit.objects.values():
            if held is not store:
                continue
            if transit.plan.place == "remote" and entry.state == "complete":
                made.free += entry.pages
            else:
                made.held[seq.rid] = entry.pages
        found.append(made)
    return found


def _hold(seq: Seq, stores: dict[Instance, Store]) -> None:
    if seq.held is not None and seq.source in stores:
        stores[seq.source].held[seq.rid] = seq.held[1]
    if seq.dst_rank is not None and seq.dest in stores:
        stores[seq.dest].held[seq.rid] = seq.dst_blocks


def _find(world: World, pools: list[PoolStage]) -> Deadlock | None:
    age = {seq.rid: seq.arrival_s for seq in world.inside.values()}
    return find_deadlock(_stores(world, pools), age)


def _row(found: Deadlock, at_s: float, broken: bool) -> dict[str, Any]:
    return {
        "at_s": at_s,
        "cycle": list(found.cycle),
        "victim": found.victim,
        "requests": len(found.requests),
        "broken": broken,
    }


def deadlock_at_end(world: World, pools: list[PoolStage]) -> None:
    """Report what is still stuck when nothing else can happen."""
    if world.plan.horizon_s is not None or not world.inside:
        return
    found = _find(world, pools)
    if found is not None and not any(row["victim"] == found.victim for row in world.deadlocks):
        world.deadlocks.append(_row(found, world.engine.now, False))


class DeadlockWatch:
    """Looks every second while requests wait; breaks what it finds, where it is told to."""

    def __init__(self, world: World, pools: list[PoolStage], guard: Guard, breaks: bool) -> None:
        self.world = world
        self.pools = pools
        self.guard = guard
        self.breaks = breaks
        self._seen: set[int] = set()
        world.engine.call_at(LOOK_S, self._look)

    def _look(self) -> None:
        world, now = self.world, self.world.engine.now
        if not self.guard.breaker.work_left() or now - self.guard.moved_s > 2 * 900.0:
            return
        found = _find(world, self.pools) if world.inside else None
        if found is not None and found.victim not in self._seen:
            self._seen.add(found.victim)
            world.deadlocks.append(_row(found, now, self.breaks))
            self.guard.audit.ledger.count("I12", "requests wait for each other's blocks")
            if self.breaks:
                self._break(world.inside[found.victim])
        world.engine.call_at(now + LOOK_S, self._look)

    def _break(self, seq: Seq) -> None:
        """Give the victim up: both sides let go of it."""
        if seq.handoff is None:
            self.world.end(seq, FAILED, "deadlock")
        else:
            self.guard.cancel(seq, "deadlock")
