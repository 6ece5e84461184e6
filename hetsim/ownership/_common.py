"""Rows that several protocols share: decode on D, and the end of every life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from hetsim.ownership._machine import DS, Instructions, Machine, Run, Table, abort, fail
from hetsim.ownership._spec import Options
from hetsim.ownership._vocabulary import (
    Admit,
    Convert,
    Event,
    Free,
    Instruction,
    Quarantine,
    Recompute,
    Reserve,
    Restore,
    Retract,
    Send,
    SetTimer,
    StopTimer,
    Withdraw,
    start_transfer,
)

Quiet = Literal["", "flying", "getting"]

D_OWNER = "D.scheduler"
D_LINK = "D.connector"
P_OWNER = "P.scheduler"
P_LINK = "P.connector"
NO_INSTRUCTIONS: Instructions = ()
EARLY_S = 1e-9  # a timer may fire this much before its deadline through rounding
RESEND_S = 0.2
"""A message that was not acknowledged is said again after this. Source: Linux, TCP_RTO_MIN, the
least time after which TCP sends once more."""

ADMIT: Instructions = (Admit(),)
CONVERT: Instructions = (Convert("D"),)
RECOMPUTE: Instructions = (Recompute("D"),)
QUARANTINE: Instructions = (Quarantine("Ds"),)


def timer(name: str, delay_s: float | None, side: str, on: str = "wall") -> Instructions:
    """Return the instruction that arms a timer, or nothing where the runtime has none."""
    if delay_s is None:
        return ()
    return (SetTimer(name, delay_s, side, on),)  # type: ignore[arg-type]


def quiet(name: str, delay_s: float | None) -> Instructions:
    """Return the instruction that forgets a timer, where there is one."""
    return (StopTimer(name),) if delay_s is not None else ()


def admit_to(o: Options) -> tuple[str, Instructions]:
    """Return the state and instructions that follow once the KV is covered."""
    return ("converting", CONVERT) if o.convert else ("decoding", ADMIT)


def post(machine: Machine, piece: int, of: int) -> Instructions:
    """Post one piece: from here on its DMA may touch both block sets."""
    machine.flying += 1
    return start_transfer(piece, of)


def post_all(machine: Machine, of: int) -> Instructions:
    """Post every piece at once."""
    machine.flying += of
    if of == 1:
        return start_transfer(0, 1)
    return tuple(step for piece in range(of) for step in start_transfer(piece, of))


def decode_states(t: Table) -> None:
    """Declare the states of ``Ds`` from conversion to the end."""
    t.state("Ds", "converting scrapping decoding", owner=D_OWNER, worker="D.compute")
    t.state("Ds", "preempted retracted free gone lost")


def decode_rows(
    t: Table,
    o: Options,
    quiet: Quiet = "",
    resume: Run | None = None,
    *,
    settles: bool = False,
) -> None:
    """Enter conversion, decode, preemption, abort and crash on D.

    ``quiet``: the transfers that D posts, so that its death ends them. ``resume``: what a preempted
    request does with new blocks, where it is not to compute the prompt again. ``settles``: an
    abort ends the request only when its blocks are given back.
    """
    t.on("Ds", "converting", "converted", "decoding", *ADMIT)
    scrapped = Free("Ds", "aborted")
    if settles:
        t.on("Ds", "converting", "cancelled:D", "scrapping")
        t.ends("aborted", "Ds", "scrapping", "converted", "free", scrapped, cause="client")
    else:
        t.ends("aborted", "Ds", "converting", "cancelled:D", "scrapping", cause="client")
        t.on("Ds", "scrapping", "converted", "free", scrapped)
    t.ends("ok", "Ds", "decoding", "finished", "free", Free("Ds", "finished"))
    t.ends(
        "aborted", "Ds", "decoding", "cancelled:D", "free", Free("Ds", "aborted"), cause="client"
    )
    if o.on_preempt == "retract":
        away: tuple[Instruction, ...] = (Retract("D"), Free("Ds", "retracted"), Reserve("D"))
        t.on("Ds", "decoding", "preempted", "retracted", *away)
    else:
        t.on("Ds", "decoding", "preempted", "preempted", Free("Ds", "preempted"), Reserve("D"))
    if resume is not None:
        t.on("Ds", "preempted", "credit_granted", run=resume)
    else:
        t.on("Ds", "preempted", "credit_granted", "decoding", *RECOMPUTE)
    t.on("Ds", "retracted", "credit_granted", "decoding", Restore("D"))
    waiting = "preempted retracted"
    t.ends("aborted", "Ds", waiting, "cancelled:D", "free", Withdraw("D"), cause="client")
    crash_rows(t, "converting decoding scrapping", waiting, quiet)


def crash_rows(t: Table, held: str, empty: str, quiet: Quiet = "") -> None:
    """Enter the death of D; ``held``: states with blocks, ``empty``: without."""
    for states, last in ((held, (Free("Ds", "crash"),)), (empty, ())):
        t.ends(
            "failed", "Ds", states, "crashed:D", "lost", *last, cause="decode_crash", quiet=quiet
        )


def settle_failure(o: Options, *last: Instruction) -> Callable[[Machine, str], Instructions]:
    """Return what D does once a failed transfer is over: fail or recompute, ``last`` first.

    Cause ``client``: an abort that waited for its blocks to be quiet, and ends the request now;
    ``preempted``: D wants the blocks for others, and computes the prompt when there are new ones.
    """

    def settle(machine: Machine, cause: str) -> Instructions:
        if machine.outcome is None and cause == "preempted":
            machine.states[DS] = "preempted"
            return (*last, Free("Ds", "preempted"), Reserve("D"))
        if machine.outcome is None and cause == "client":
            machine.states[DS] = "free"
            return (*last, Free("Ds", "aborted"), *abort(machine))
        if machine.outcome is None and o.on_error == "recompute":
            machine.states[DS] = "decoding"
            return last + RECOMPUTE
        machine.states[DS] = "free"
        why = "aborted" if machine.outcome == "aborted" else cause
        return (*last, Free("Ds", why), *fail(machine, cause))

    return settle


__all__ = [
    "ADMIT",
    "CONVERT",
    "D_LINK",
    "D_OWNER",
    "EARLY_S",
    "NO_INSTRUCTIONS",
    "P_LINK",
    "P_OWNER",
    "QUARANTINE",
    "RECOMPUTE",
    "RESEND_S",
    "Event",
    "Send",
    "admit_to",
    "crash_rows",
    "decode_rows",
    "decode_states",
    "post",
    "post_all",
    "quiet",
    "settle_failure",
    "timer",
]
