"""What a put does that lands after its room in the pool was given to another.

Valid for: room that came free first is given out first, as in :mod:`hetsim.stages._damage`; a late
write spoils only objects that are complete by then, since one still being written may come later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hetsim.residency import Entry, TierStore
from hetsim.serving import Seq

__all__ = ["LatePuts"]


@dataclass(slots=True)
class _Loose:
    """Room that was taken back from a writer that may still write."""

    seq: Seq
    store: TierStore
    first: int
    """Count of pages taken from the store when the first of them is given out again."""
    pages: int
    takers: list[tuple[Seq, Entry]] = field(default_factory=list)


class LatePuts:
    """Follows room that was taken back under a write, until the write is over."""

    __slots__ = ("loose",)

    def __init__(self) -> None:
        self.loose: list[_Loose] = []

    def freed(self, seq: Seq, store: TierStore, entry: Entry) -> None:
        """Take note of room that is taken back (call it just before)."""
        self.loose.append(_Loose(seq, store, store.taken + store.free, entry.pages))

    def granted(self, seq: Seq, store: TierStore, entry: Entry) -> None:
        """Take note of an object that has just got its room."""
        last = store.taken
        for item in self.loose:
            taken = last > item.first and last - entry.pages < item.first + item.pages
            if item.store is store and taken:
                item.takers.append((seq, entry))

    def landed(self, seq: Seq, objects: Mapping[Seq, tuple[TierStore, Entry, Seq]]) -> None:
        """Let the late write land on what is there by now."""
        for item in self.loose:
            if item.seq is not seq:
                continue
            for taker, entry in item.takers:
                held = objects.get(taker)
                if held is not None and held[1] is entry and entry.state == "complete":
                    entry.wrong = True
        self.loose = [item for item in self.loose if item.seq is not seq]
