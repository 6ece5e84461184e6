"""A router that heeds the decode side: prompts wait outside while its blocks are spoken for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hetsim.serving import Seq
from hetsim.stages._pool import PoolStage
from hetsim.stages._world import World

__all__ = ["Pressure"]


class Pressure:
    """Holds prompts back while more than a part of the decode pool's blocks is spoken for.

    Spoken for is the prompt of every request inside, and all it may still generate: what the router
    knows of a request when it lets it in. One request is always let in.
    """

    def __init__(
        self, world: World, pool: PoolStage, part: float, submit: Callable[[Seq], None]
    ) -> None:
        self.world = world
        self.pool = pool
        self.part = part
        self.submit = submit
        self.blind_until_s = 0.0
        self.held = 0
        self.held_s = 0.0
        self._queue: deque[tuple[Seq, float]] = deque()
        self._inside: dict[int, int] = {}
        self._blocks = 0
        world.on_end.append(self._ended)

    def enter(self, seq: Seq) -> None:
        """Let a request in, now or when there is room."""
        if seq.rid in self._inside:  # a second attempt: its blocks are spoken for already
            self.submit(seq)
        elif self._queue or not self._has_room(seq):
            self.held += 1
            self._queue.append((seq, self.world.engine.now))
        else:
            self._let_in(seq)

    def look(self) -> None:
        """Let in who has room now."""
        now = self.world.engine.now
        while self._queue and (self._queue[0][0].gone or self._has_room(self._queue[0][0])):
            seq, since_s = self._queue.popleft()
            if not seq.gone:
                self.held_s += now - since_s
                self._let_in(seq)

    def waiting(self) -> list[Seq]:
        """Return who waits outside."""
        return [seq for seq, _ in self._queue if not seq.gone]

    def _blocks_of(self, seq: Seq) -> int:
        tokens = seq.isl + max(1, seq.declared)
        return -(-tokens // self.pool.plan.rules.block_tokens) + self.pool.plan.rules.fixed_blocks

    def _has_room(self, seq: Seq) -> bool:
        if not self._inside or self.blind_until_s > self.world.engine.now:
            return True
        total = sum(rank.pool.total for i in self.pool.alive for rank in i.ranks)
        return self._blocks + self._blocks_of(seq) <= self.part * total

    def _let_in(self, seq: Seq) -> None:
        blocks = self._inside[seq.rid] = self._blocks_of(seq)
        self._blocks += blocks
        self.submit(seq)

    def _ended(self, seq: Seq, now: float) -> None:
        blocks = self._inside.pop(seq.rid, None)
        if blocks is not None:
            self._blocks -= blocks
            if self._queue:
                self.world.engine.call_at(now, self.look)
