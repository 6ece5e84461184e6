"""Messages that name a request by its client's id alone: two lives of one id are confused.

A router that delivers at least once may deliver twice. Where a message carries the id and nothing
that tells lives apart, both sides look up whoever registered last under it: the addresses of one
life start the other, and the word that one has landed admits the other, whose blocks hold nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.ownership import PARTS
from hetsim.serving import Seq

if TYPE_CHECKING:
    from hetsim.stages._guard import Guard

__all__ = ["Rooms"]


class Rooms:
    """Who is found under an id, and what was meant for somebody else."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self._of: dict[int, int] = {}
        """Ids of requests that carry somebody else's."""
        self._latest: dict[int, Seq] = {}
        self._astray: dict[Seq, None] = {}
        """Requests whose KV is written where another life of the same id has its blocks."""

    def share(self, twin: Seq, seq: Seq) -> None:
        """Let ``twin`` carry the id of ``seq``."""
        self._of[twin.rid] = self._of.get(seq.rid, seq.rid)

    def enter(self, seq: Seq) -> None:
        """Take note of a life that registers: it is the one that is found from now on."""
        self._latest[self._of.get(seq.rid, seq.rid)] = seq

    def addressee(self, seq: Seq, event: Any) -> Seq | None:
        """Return who takes a message that is meant for ``seq``; None if it fits nobody there."""
        found = self._latest.get(self._of.get(seq.rid, seq.rid), seq)
        if found is seq or not event.key.startswith("notice:"):
            return seq
        guard, states = self.guard, found.handoff.states
        table = guard.machines
        if all(
            table.classify(part, state, event.key) == "illegal"
            for part, state in zip(PARTS, states, strict=True)
        ):
            return None
        guard.audit.ledger.count("I5", "a message of another life of the same id")
        if event.key == "notice:addresses":
            self._astray[found] = None
        elif event.key == "notice:done" and states[1] == "published":
            self._spoil(found)  # admitted for what has landed elsewhere
        return found

    def landed(self, seq: Seq) -> None:
        """Spoil a request whose KV has gone to the blocks of another life."""
        if seq in self._astray:
            self._spoil(seq)

    def _spoil(self, seq: Seq) -> None:
        seq.corrupt = 1
        self.guard.audit.wrong.setdefault(seq, "I16")
