"""The rows of the ownership table: who owned which block set from when, and why it changed."""

from __future__ import annotations

from typing import NamedTuple

from hetsim.ownership._machine import PARTS, Instructions, Machine
from hetsim.ownership._vocabulary import Event

__all__ = ["OwnershipRow", "observe"]


class OwnershipRow(NamedTuple):
    """One state transition of one block set."""

    time_s: float
    request_id: object
    block_set: str
    state_from: str
    state_to: str
    owner: str
    """The party that must release it from here on; empty where nothing is held."""
    cause: str
    """Key of the event."""


def observe(machine: Machine, event: Event, at_s: float, rows: list[OwnershipRow]) -> Instructions:
    """Let ``machine`` handle ``event`` and append a row for each block set whose state changed.

    >>> from hetsim.ownership import get_plan, vocabulary
    >>> rows = []
    >>> _ = observe(get_plan("pull_lease").machine(7), vocabulary.ARRIVED, 1.5, rows)
    >>> rows[0].block_set, rows[0].state_from, rows[0].state_to
    ('Ps', 'idle', 'waiting')
    """
    states = machine.states
    before_ps, before_ds, before_x = states
    answer = machine.handle(event, at_s)
    if states[0] != before_ps:
        rows.append(_row(machine, event, at_s, 0, before_ps))
    if states[1] != before_ds:
        rows.append(_row(machine, event, at_s, 1, before_ds))
    if states[2] != before_x:
        rows.append(_row(machine, event, at_s, 2, before_x))
    return answer


def _row(machine: Machine, event: Event, at_s: float, part: int, before: str) -> OwnershipRow:
    after = machine.states[part]
    block_set = PARTS[part]
    owner = machine.plan.table.owners[block_set].get(after, "")
    return OwnershipRow(at_s, machine.name, block_set, before, after, owner, event.key)
