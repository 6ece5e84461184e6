"""Requests arrive: from a table, or from users who wait for their answers."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from heapq import heappush
from typing import Any

from hetsim.engine import NORMAL, Signal
from hetsim.serving import Seq
from hetsim.stages._world import REJECTED, World
from hetsim.workload import ClosedLoop, RequestTable, Turn

__all__ = ["ClosedSource", "OpenSource"]


class _Door:
    """Lets a request in if it can be served at all."""

    def __init__(self, world: World, submit: Callable[[Seq], None], stride: int) -> None:
        self.world = world
        self.submit = submit
        self.stride = stride
        """Every how many prefix hashes name a cache unit; 0 = no prefix cache."""
        plan = world.plan
        self.max_context = plan.max_context
        self.max_tokens = min(
            pool.blocks * pool.rules.block_tokens
            - pool.rules.fixed_blocks * pool.rules.block_tokens
            for pool in plan.pools
        )
        self.overhead_s = plan.pools[0].request_overhead_s
        self.declared = 0

    def enter(self, seq: Seq, tokens: int) -> None:
        """Count the request, and send it on unless nothing could ever hold it."""
        world = self.world
        world.arrive(seq)
        if tokens > self.max_context:
            world.end(seq, REJECTED, "longer_than_context")
        elif tokens > self.max_tokens:
            world.end(seq, REJECTED, "larger_than_pool")
        else:
            self.submit(seq)

    def keys(self, hashes: list[int]) -> list[int]:
        """Return the names of the cache units of a prompt."""
        stride = self.stride
        if not stride or not hashes:
            return []
        return hashes if stride == 1 else hashes[stride - 1 :: stride]


class OpenSource(_Door):
    """Replays a table: one pending event at a time, however long the table is."""

    def __init__(
        self, world: World, submit: Callable[[Seq], None], stride: int, table: RequestTable
    ) -> None:
        super().__init__(world, submit, stride)
        self.table = table
        self.count = len(table)
        self.declared = int(table.osl.max()) if self.count else 0
        world.osl = array("i", table.osl.tobytes())
        self._hashed = bool(self.stride and table.has_hashes)
        self._sessions = table.session
        self._row = 0
        self._block: list[tuple[float, int, int]] = []
        self._base = 0
        self._signal = Signal(self._arrive)

    def start(self) -> None:
        """Put the first arrival on the clock."""
        if self.count:
            self._load()
            self.world.engine.put(self._signal, self._block[0][0] + self.overhead_s)

    def _load(self) -> None:
        # A block of rows at a time becomes Python numbers: fast to read, and bounded in memory.
        first = self._base = self._row
        last = min(self.count, first + 8192)
        table = self.table
        self._block = list(
            zip(
                table.arrival_s[first:last].tolist(),
                table.isl[first:last].tolist(),
                table.osl[first:last].tolist(),
                strict=True,
            )
        )

    def _arrive(self, _: Any) -> None:
        row = self._row
        base, block = self._base, self._block
        arrival_s, isl, osl = block[row - base]
        keys = self.keys(self.table.hashes(row)) if self._hashed else []
        seq = Seq(row, arrival_s, isl, self.declared, keys)
        if self._sessions is not None:
            seq.user = int(self._sessions[row])
        self._row = row = row + 1
        if row < self.count:
            if row - base == len(block):
                self._load()
                base, block = self._base, self._block
            engine = self.world.engine
            # Arrivals are in order, so the next one is not in the past.
            at_s = block[row - base][0] + self.overhead_s
            heappush(engine.queue, (at_s, NORMAL, next(engine.order), self._signal))
        self.enter(seq, isl + osl)


class ClosedSource(_Door):
    """Users who ask, wait for the answer, think, and ask again."""

    def __init__(
        self, world: World, submit: Callable[[Seq], None], stride: int, loop: ClosedLoop
    ) -> None:
        super().__init__(world, submit, stride)
        self.loop = loop
        self._left = loop.requests
        self._next_id = 0
        world.osl = array("i", bytes(4 * loop.requests))
        world.on_end.append(self._ended)

    def start(self) -> None:
        """Let every user ask first."""
        for user in range(self.loop.users):
            self._ask(user, 0, self.loop.first(user), 0.0)

    def _ask(self, user: int, turn: int, asked: Turn, now: float) -> None:
        if self._left <= 0:
            return
        self._left -= 1
        arrival_s = now + asked.think_s
        self.world.engine.call_at(
            arrival_s + self.overhead_s, lambda: self._arrive(user, turn, asked, arrival_s)
        )

    def _arrive(self, user: int, turn: int, asked: Turn, arrival_s: float) -> None:
        rid = self._next_id
        self._next_id += 1
        self.world.osl[rid] = asked.osl
        seq = Seq(rid, arrival_s, asked.isl, max(asked.osl, 1), self.keys(asked.hashes))
        seq.user, seq.turn = user, turn
        self.enter(seq, asked.isl + asked.osl)

    def _ended(self, seq: Seq, now: float) -> None:
        user, turn = seq.user, seq.turn + 1
        self._ask(user, turn, self.loop.next(user, turn), now)
