"""What the engine gets: a table of requests, or users who send the next when one is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from hetsim.workload._table import RequestTable

__all__ = ["ClosedLoop", "Turn", "Workload"]


class Turn(NamedTuple):
    """One request of a closed loop."""

    think_s: float
    """From the end of the user's turn before (or from time 0) to the arrival of this one."""
    isl: int
    osl: int
    hashes: list[int]


class ClosedLoop(Protocol):
    """Users who each wait for an answer before they ask again.

    What a user asks in a turn depends on (seed, user, turn) alone, never on the order of asking.
    """

    users: int
    requests: int
    """How many turns all users take together; the loop ends when they are used up."""
    hash_block_tokens: int | None

    def first(self, user: int) -> Turn:
        """Return what ``user`` asks first."""

    def next(self, user: int, turn: int) -> Turn:
        """Return what ``user`` asks in ``turn`` (0 is the first)."""


class Workload:
    """A workload ready to be simulated: exactly one of ``table`` and ``loop`` is there."""

    __slots__ = ("kind", "loop", "measured_from_s", "notes", "table")

    def __init__(
        self,
        kind: str,
        *,
        table: RequestTable | None = None,
        loop: ClosedLoop | None = None,
        measured_from_s: float = 0.0,
        notes: Sequence[str] = (),
    ) -> None:
        if (table is None) == (loop is None):
            raise ValueError("a workload is either a table or a loop")
        self.kind = kind
        self.table = table
        self.loop = loop
        self.measured_from_s = table.measured_from_s if table is not None else measured_from_s
        """Requests that arrive earlier are simulated, not measured."""
        self.notes = (*(table.notes if table is not None else ()), *notes)

    def __repr__(self) -> str:
        how = "closed loop" if self.loop is not None else "open loop"
        return f"Workload({self.kind}, {self.requests} requests, {how})"

    @property
    def requests(self) -> int:
        """How many requests there will be in all."""
        if self.loop is not None:
            return self.loop.requests
        return len(self.table) if self.table is not None else 0

    @property
    def hash_block_tokens(self) -> int | None:
        """Tokens per prefix block, or None where no prefixes are stated."""
        part = self.loop if self.loop is not None else self.table
        return part.hash_block_tokens if part is not None else None
