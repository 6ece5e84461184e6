"""What an instruction does in the small world."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hetsim.ownership._scene import Job

if TYPE_CHECKING:
    from hetsim.ownership._world import World

__all__ = ["RUN"]

Effect = Callable[["World", int, Any], None]


def touched(world: World, job: Job, block_set: str) -> bool:
    """Return whether a transfer may still touch a block set, whatever the machine believes."""
    return any(block_set in world.legs[flight[0]] for flight in job.flights)


def _start_transfer(world: World, number: int, step: Any) -> None:
    job = world.jobs[number]
    for block_set in world.legs[step.leg]:
        if block_set not in job.grants and job.machine.part(block_set) != "lost":
            world.violate("I5", f"request {number}: a transfer of {block_set} that was given up")
    from_set, to_set = world.legs[step.leg]
    source, target = job.last[from_set], job.last[to_set]
    gone = any(job.machine.part(name) == "lost" for name in (from_set, to_set))
    mood = "stopped" if gone else "flying"
    job.flights.append((step.leg, step.piece, step.of, source, target, mood))
    if world.starts and mood == "flying":
        world.pending.append(("start", number))


def _stop_transfer(world: World, number: int, step: Any) -> None:
    job = world.jobs[number]
    job.flights = [
        (*f[:5], "stopped") if f[0] == step.leg and f[5] in ("flying", "hung") else f
        for f in job.flights
    ]
    world.pending.append(("quiet", number, step.leg))


def _set_timer(world: World, number: int, step: Any) -> None:
    _stop_timer(world, number, step)
    world.timers.append((world.now_s + step.delay_s, number, step.name, step.side, step.on))


def _stop_timer(world: World, number: int, step: Any) -> None:
    world.timers = [t for t in world.timers if t[1] != number or t[2] != step.name]


def _free(world: World, number: int, step: Any) -> None:
    job = world.jobs[number]
    block_set = step.block_set
    if block_set not in job.grants:
        world.violate("I3", f"request {number}: {block_set} freed twice ({step.cause})")
        return
    if step.cause != "crash" and touched(world, job, block_set):
        world.violate("I1", f"request {number}: {block_set} freed under access ({step.cause})")
        if block_set == "Ds" and step.cause in ("transfer_failed", "prefill_failed"):
            world.violate("I8", f"request {number}: Ds given up before all handles were over")
    if block_set == "Ds" and ("decode", number) in world.pending:
        world.pending.remove(("decode", number))
    pool = {"Ps": job.p, "Ds": job.d, "X": "X"}[block_set]
    world.pools[pool][job.grants.pop(block_set)].holder = None


def _admit(world: World, number: int, step: Any) -> None:
    job = world.jobs[number]
    slot = world.pools[job.d][job.grants["Ds"]]
    if slot.bits != (1 << world.pieces) - 1:
        world.violate("I6", f"request {number} decodes with pieces {slot.bits:b} of {world.pieces}")
    job.wrong = job.wrong or bool(slot.bad)
    world.pending.append(("decode", number))


def _recompute(world: World, number: int, step: Any) -> None:
    job = world.jobs[number]
    slot = world.pools[job.d][job.grants["Ds"]]
    if touched(world, job, "Ds"):
        if job.machine.mark and world.plan.facts.initiator != "P":
            world.violate("I8", f"request {number}: Ds computed anew, handles in flight")
        world.violate("I1", f"request {number}: Ds reused under access")
    slot.bits, slot.bad = (1 << world.pieces) - 1, 0
    world.pending.append(("decode", number))


def _end(world: World, number: int, step: Any) -> None:
    job = world.jobs[number]
    job.ends += 1
    if job.ends > 1:
        world.violate("I16", f"request {number} ended twice")


def _later(op: str, *extra: Any) -> Effect:
    def add(world: World, number: int, step: Any) -> None:
        world.pending.append((op, number, *extra))

    return add


def _nothing(world: World, number: int, step: Any) -> None:
    """Do nothing: the instruction is only for the tables."""


def _send(world: World, number: int, step: Any) -> None:
    note = ("note", number, step.notice)
    # One late heartbeat says as much as several, and so does a release that is said again; without
    # this they would pile up without end.
    again = world.plan.variant.timers.resend_s is not None and step.notice in ("done", "ack")
    if not (again or step.notice == "beat") or note not in world.pending:
        world.pending.append(note)


def _withdraw(world: World, number: int, step: Any) -> None:
    waiting = ("grant", number, step.side)
    if waiting in world.pending:  # not so where the queue died with its instance
        world.pending.remove(waiting)


def _stop_prefill(world: World, number: int, step: Any) -> None:
    gone = (("prefill", number), ("produce", number))
    world.pending = [task for task in world.pending if task not in gone]


RUN: dict[str, Effect] = {
    "start_prefill": _later("prefill"),
    "stop_prefill": _stop_prefill,
    "dispatch": _later("dispatch"),
    "reserve": lambda world, number, step: world.pending.append(("grant", number, step.side)),
    "withdraw": _withdraw,
    "start_transfer": _start_transfer,
    "stop_transfer": _stop_transfer,
    "send": _send,
    "set_timer": _set_timer,
    "stop_timer": _stop_timer,
    "convert": lambda world, number, step: world.pending.append(("convert", number, step.side)),
    "admit": _admit,
    "recompute": _recompute,
    "restore": _recompute,
    "retract": _nothing,
    "free": _free,
    "quarantine": _nothing,
    "corrupt": _nothing,
    "fail": _end,
    "abort": _end,
}
