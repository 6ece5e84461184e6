"""The audit of a run's hand-offs: broken invariants, corrupt answers, leaked blocks.

:class:`hetsim.ownership.Ledger` knows what each finding means; here is only when to ask it.
"""

from __future__ import annotations

from typing import Any

from hetsim.errors import InvariantViolated
from hetsim.ownership import USUAL, Ledger
from hetsim.ownership._vocabulary import Free
from hetsim.serving import Seq
from hetsim.stages._world import World

__all__ = ["Audit"]


class Audit:
    """Asks the ledger where something may be wrong; the usual path costs two tests per free."""

    def __init__(self, world: World, plan: Any) -> None:
        self.world = world
        self.plan = plan
        self.ledger = Ledger()
        #: Requests that failed, and when: what they still hold is of no use.
        self._failed: dict[int, tuple[Seq, float]] = {}

    def freed(self, seq: Seq, order: Free) -> None:
        """Take note of a free, before the blocks go."""
        machine = seq.handoff
        if order.cause in USUAL and not machine.flying and not machine.getting:
            return
        now = self.world.engine.now
        source = order.block_set == "Ps"
        blocks = seq.dst_blocks if not source else seq.held[1] if seq.held is not None else 0
        since_s = self._useless_since(seq)
        self.ledger.freed(machine, order.block_set, order.cause, now, blocks, since_s)

    def _useless_since(self, seq: Seq) -> float | None:
        """Return since when nobody needs the request's blocks, or None if somebody did till now."""
        failed = self._failed.get(seq.rid)
        if failed is not None:
            return failed[1]
        landed = seq.landed_s
        return landed if landed == landed else None

    def posted(self, seq: Seq) -> None:
        """Take note of a transfer out of blocks that P has given up."""
        self.ledger.posted(seq.handoff)

    def failed(self, seq: Seq) -> None:
        """Take note of a request that failed."""
        self._failed.setdefault(seq.rid, (seq, self.world.engine.now))

    def decoded(self, seq: Seq) -> None:
        """Take note of a request that ended well, as far as its client can see."""
        if seq.handoff.corrupt:
            seq.corrupt = 1
            self.ledger.ended(seq.handoff)

    def close(self) -> None:
        """Hand the findings over; in a variant that is declared sound they are laws.

        Raises
        ------
        InvariantViolated
            If a sound variant broke an invariant.
        """
        world, ledger = self.world, self.ledger
        for seq, since_s in self._failed.values():
            held = (seq.held[1] if seq.held is not None else 0) + (
                seq.dst_blocks if seq.dst_rank is not None else 0
            )
            if held:
                ledger.left(seq.handoff, world.end_s, held, since_s)
        broken = ledger.broken()
        if broken and self.plan.variant.sound:
            name = f"{self.plan.kind}/{self.plan.variant.name}"
            causes = [f"{k[0]}: {k[1]} ({n} times)" for k, n in sorted(ledger.causes.items())]
            raise InvariantViolated(broken[0], f"by the sound variant {name}", causes)
        world.violations = {name: ledger.violations[name] for name in broken}
        world.ok_corrupt = ledger.ok_corrupt
        for (block_set, cause), amount in sorted(ledger.leak_block_seconds.items()):
            world.leak_page_s[f"{block_set}:{cause}"] = amount
