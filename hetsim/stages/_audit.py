"""The audit of a run's hand-offs: broken invariants, corrupt answers, leaked blocks.

:class:`hetsim.ownership.Ledger` knows what each finding means; here is only when to ask it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hetsim.errors import InvariantViolated
from hetsim.ownership import PROTOCOL_INVARIANTS, USUAL, Ledger
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
        self._failed: dict[Seq, float] = {}
        self.wrong: dict[Seq, str] = {}
        """Requests whose bytes a fault has spoilt where no protocol can see it: the invariant."""
        self.unseen: dict[str, int] = {}
        self.told: Callable[[Seq, float], None] | None = None
        """Hears of leaked block-seconds, request by request."""
        self.elsewhere: Callable[[Seq], int] | None = None
        """Blocks that a request has in neither pool: those of its transit copy."""

    def freed(self, seq: Seq, order: Free) -> None:
        """Take note of a free, before the blocks go."""
        machine = seq.handoff
        if order.cause in USUAL and not machine.flying and not machine.getting:
            return
        now = self.world.engine.now
        source = order.block_set == "Ps"
        blocks = seq.dst_blocks if not source else seq.held[1] if seq.held is not None else 0
        since_s = self.useless_since(seq, order.block_set)
        self.ledger.freed(machine, order.block_set, order.cause, now, blocks, since_s)
        if self.told is not None and since_s is not None and order.cause not in USUAL:
            self.told(seq, blocks * (now - since_s))

    def useless_since(self, seq: Seq, block_set: str) -> float | None:
        """Return since when nobody needs blocks of a request, or None if somebody did till now.

        What P or X holds is of no use once it has landed; what D holds, once the request has ended.
        """
        failed_s = self._failed.get(seq)
        if failed_s is not None or block_set == "Ds":
            return failed_s
        landed = seq.landed_s
        return landed if landed == landed else None

    def delivered(self, seq: Seq, block_set: str, pages: int, usual_s: float) -> None:
        """Take note of a release that was late, and came when its request had ended.

        ``usual_s``: what control messages take; nobody is blamed for that.
        """
        failed_s = self._failed.get(seq)
        since_s = failed_s if failed_s is not None else seq.last_s
        late_s = self.world.engine.now - since_s
        if late_s > usual_s:
            self.ledger.leaked(block_set, "delivered_late", pages * late_s)
            if self.told is not None:
                self.told(seq, pages * late_s)

    def posted(self, seq: Seq) -> None:
        """Take note of a transfer out of blocks that P has given up."""
        self.ledger.posted(seq.handoff)

    def failed(self, seq: Seq) -> None:
        """Take note of a request that failed."""
        self._failed.setdefault(seq, self.world.engine.now)

    def decoded(self, seq: Seq) -> None:
        """Take note of a request that ended well, as far as its client can see."""
        if seq.handoff.corrupt:
            seq.corrupt = 1
            self.ledger.ended(seq.handoff)
        elif seq.corrupt and seq in self.wrong:
            name = self.wrong.pop(seq)
            self.unseen[name] = self.unseen.get(name, 0) + 1

    def stuck(self, seqs: Iterable[Seq]) -> None:
        """Take note of requests that can never end: what they hold is lost to everybody."""
        now = self.world.engine.now
        for seq in seqs:
            held = (("Ps", seq.held[1]),) if seq.held is not None else ()
            if seq.dst_rank is not None:
                held = (*held, ("Ds", seq.dst_blocks))
            for block_set, blocks in held:
                since_s = seq.prefill_end_s if seq.prefill_end_s == seq.prefill_end_s else now
                self.ledger.leaked(block_set, "stuck", blocks * (now - since_s))
                if self.told is not None:
                    self.told(seq, blocks * (now - since_s))

    def close(self) -> None:
        """Hand the findings over; in a variant that is declared sound they are laws.

        Raises
        ------
        InvariantViolated
            If a sound variant broke an invariant.
        """
        world, ledger = self.world, self.ledger
        for seq, since_s in self._failed.items():
            held = (seq.held[1] if seq.held is not None else 0) + (
                seq.dst_blocks if seq.dst_rank is not None else 0
            )
            if self.elsewhere is not None:
                held += self.elsewhere(seq)
            if held:
                ledger.left(seq.handoff, world.end_s, held, since_s)
                if self.told is not None:
                    self.told(seq, held * (world.end_s - since_s))
        broken = ledger.broken()
        laws = [name for name in broken if name in PROTOCOL_INVARIANTS]
        if laws and self.plan.variant.sound:
            name = f"{self.plan.kind}/{self.plan.variant.name}"
            causes = [f"{k[0]}: {k[1]} ({n} times)" for k, n in sorted(ledger.causes.items())]
            raise InvariantViolated(laws[0], f"by the sound variant {name}", causes)
        world.violations = {name: ledger.violations[name] for name in broken}
        world.ok_corrupt = ledger.ok_corrupt + sum(self.unseen.values())
        for name, count in sorted(self.unseen.items()):
            world.violations[name] = world.violations.get(name, 0) + count
        for (block_set, cause), amount in sorted(ledger.leak_block_seconds.items()):
            world.leak_page_s[f"{block_set}:{cause}"] = amount
