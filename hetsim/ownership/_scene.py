"""What stands in the small world: slots of blocks, jobs, transfers, the budget of mishaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hetsim.ownership._machine import Machine

__all__ = ["LEGS", "Faults", "Flight", "Job", "Move", "Slot", "Timer"]

Move = tuple[Any, ...]
Flight = tuple[str, int, int, int, int, str]
"""A transfer: leg, piece, of, source slot, target slot, mood (flying, hung, stopped or dead)."""
Timer = tuple[float, int, str, str, str]
"""Deadline, job, name, side, on."""


@dataclass(slots=True)
class Faults:
    """How many faults of each kind a history may hold."""

    lose: int = 0
    repeat: int = 0
    fail: int = 0
    hang: int = 0
    crash: int = 0
    cancel: int = 0
    preempt: int = 0
    stall: int = 0
    evict: int = 0
    refuse: int = 0
    total: int = 99

    def copy(self) -> Faults:
        """Return a copy."""
        return Faults(*(getattr(self, name) for name in self.__slots__))


class Slot:
    """Room for the blocks of one request: who has it, which pieces are in it, which are wrong."""

    __slots__ = ("bad", "bits", "holder")

    def __init__(self) -> None:
        self.holder: tuple[int, str] | None = None
        self.bits = 0
        self.bad = 0


class Job:
    """One request: its machine, where it runs, and what the backends know of it."""

    __slots__ = ("d", "ends", "flights", "grants", "last", "machine", "made", "of", "p", "wrong")

    def __init__(self, machine: Machine, p: str, d: str, of: int) -> None:
        self.machine = machine
        self.p = p
        self.d = d
        self.of = of
        #: Slots held, by block set; ``last``: the address that a peer may remember.
        self.grants: dict[str, int] = {}
        self.last: dict[str, int] = {}
        self.flights: list[Flight] = []
        self.made = 0
        self.ends = 0
        self.wrong = False


LEGS = {"direct": ("Ps", "Ds"), "put": ("Ps", "X"), "get": ("X", "Ds")}
