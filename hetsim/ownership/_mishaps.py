"""What may go wrong in the world: losses, repeats, failures, hangs, crashes, aborts, stalls.

Each kind has a budget (:class:`hetsim.ownership._scene.Faults`). A stopped transfer that ends, and
an eviction that makes room, are no mishaps; they stand here because they share the code.
"""

from __future__ import annotations

from random import Random

from hetsim.ownership import _vocabulary as voc
from hetsim.ownership._scene import Faults, Flight, Move
from hetsim.ownership._world import ACTIONS, World

__all__ = ["KINDS", "moves", "some_faults", "wander"]

KINDS = (
    "lose", "repeat", "fail", "hang", "crash", "cancel", "preempt", "stall", "evict", "refuse",
)  # fmt: skip


def moves(world: World) -> list[Move]:
    """Return everything that may happen next: the usual first, then the mishaps."""
    return [*world.usual(), *mishaps(world)]


def mishaps(world: World) -> list[Move]:
    """Return what may go wrong next, within the budget."""
    faults = world.faults
    if faults.total <= 0:
        return []
    found = _of_messages(world)
    for number, job in enumerate(world.jobs):
        for flight in job.flights:
            if flight[5] == "flying":
                found += _of_flight(faults, number, flight)
        if (
            faults.cancel
            and job.machine.outcome is None
            and ("arrive", number) not in world.pending
        ):
            found.append(("cancel", number))
    found += _of_admission(world)
    if faults.evict:
        found += [("evict", number) for number in world.evictable(world.next_timer())]
    if faults.crash:
        found += [("crash", name) for name in world.pools if _may_crash(world, name)]
    if faults.stall:
        found += [("stall", name) for name in ("P0", "D0") if name not in world.stalled]
    if world.stalled and world.next_timer() is None:
        found.append(("linger",))
    return [*found, *(("resume", name) for name in sorted(world.stalled))]


def _of_messages(world: World) -> list[Move]:
    found: list[Move] = []
    for task in world.pending:
        if task[0] in ("note", "dispatch"):
            if world.faults.lose:
                found.append(("lose", task))
            if world.faults.repeat:
                found.append(("repeat", task))
        elif task[0] == "decode" and world.faults.preempt:
            found.append(("preempt", task))
    return found


def _of_admission(world: World) -> list[Move]:
    found: list[Move] = []
    for number, job in enumerate(world.jobs):
        state = job.machine.part("Ds")
        if world.faults.preempt and state != "decoding" and _knows(world, state, "preempted"):
            found.append(("unseat", number))
        if world.faults.refuse and _knows(world, state, "refused"):
            found.append(("refuse", number))
    return found


def _of_flight(faults: Faults, number: int, flight: Flight) -> list[Move]:
    found: list[Move] = []
    if faults.fail:
        found += [("drop", number, flight, True), ("drop", number, flight, False)]
    if faults.hang:
        found.append(("hang", number, flight))
    return found


def _may_crash(world: World, name: str) -> bool:
    return world.plan.knows(voc.crashed(name[0]))


def _knows(world: World, state: str, key: str) -> bool:
    return world.plan.classify("Ds", state, key) == "legal"


def _unseat(world: World, number: int) -> None:
    """D takes back blocks that KV is still on its way to."""
    _pay(world, "preempt")
    world.feed(number, voc.PREEMPTED)


def _refuse(world: World, number: int) -> None:
    _pay(world, "refuse")
    world.feed(number, voc.REFUSED)


def _pay(world: World, kind: str) -> None:
    setattr(world.faults, kind, getattr(world.faults, kind) - 1)
    world.faults.total -= 1


def _preempt(world: World, task: Move) -> None:
    _pay(world, "preempt")
    world.pending.remove(task)
    world.feed(task[1], voc.PREEMPTED)


def _lose(world: World, task: Move) -> None:
    _pay(world, "lose")
    world.pending.remove(task)
    if task[0] == "dispatch":
        # The router lost the request: it tells both sides that the client is gone.
        world.pending += [("cancelled", task[1], "P"), ("cancelled", task[1], "D")]


def _repeat(world: World, task: Move) -> None:
    _pay(world, "repeat")
    world.pending.append(task)


def _cancel(world: World, number: int) -> None:
    _pay(world, "cancel")
    world.pending += [("cancelled", number, "P"), ("cancelled", number, "D")]


def _evict(world: World, number: int) -> None:
    if world.room("X") is not None:
        _pay(world, "evict")
    world.now_s = max(world.now_s, world.jobs[number].machine.deadline_s)
    world.feed(number, voc.EVICTED)


def _stall(world: World, name: str) -> None:
    _pay(world, "stall")
    world.stalled.add(name)


def _resume(world: World, name: str) -> None:
    world.stalled.discard(name)


def _linger(world: World) -> None:
    """Let the stall outlast every timer that rides on the step loop."""
    world.now_s += 1000.0


def _drop(world: World, number: int, flight: Flight, quiesced: bool) -> None:
    leg, piece, of = flight[:3]
    job = world.jobs[number]
    job.flights.remove(flight)
    if flight[5] == "flying":
        _pay(world, "fail")
    if not quiesced:
        job.flights.append((*flight[:5], "dead"))
        world.pending.append(("quiet", number, leg))
    world.feed(number, voc.transfer_failed(quiesced, piece, of, leg))


def _hang(world: World, number: int, flight: Flight) -> None:
    _pay(world, "hang")
    flights = world.jobs[number].flights
    flights[flights.index(flight)] = (*flight[:5], "hung")


def _crash(world: World, name: str) -> None:
    _pay(world, "crash")
    side = name[0]
    world.stalled.discard(name)
    for number, job in enumerate(world.jobs):
        touched = side == "X" or name in (job.p, job.d)
        if touched and ("arrive", number) not in world.pending:
            _forget(world, number, side)
            world.feed(number, voc.crashed(side))


_DIES: dict[str, tuple[Move, ...]] = {
    "P": (("prefill",), ("produce",), ("convert", "P"), ("grant", "X")),
    "D": (("grant", "D"), ("convert", "D"), ("decode",)),
    "X": (),
}


def _forget(world: World, number: int, side: str) -> None:
    """Drop what died with ``side``: its tasks, its timers, the transfers that it posted."""
    gone = {(task[0], number, *task[1:]) for task in _DIES[side]}
    world.pending = [task for task in world.pending if task not in gone]
    world.timers = [t for t in world.timers if not (t[1] == number and t[3] == side)]
    posted = {"direct": world.plan.facts.initiator, "put": "P", "get": "D"}
    job = world.jobs[number]
    kept = []
    for flight in job.flights:
        if posted[flight[0]] != side:
            dead = flight[5] != "dead" and side in _ends(world, flight[0])
            kept.append((*flight[:5], "stopped") if dead else flight)
    job.flights = kept


def _ends(world: World, leg: str) -> set[str]:
    """Return the sides whose memory a leg touches; a transit copy lives on P's node."""
    transit = world.plan.facts.flight[0] == "X"
    place = {"Ps": "P", "Ds": "D", "X": "P" if transit else "X"}
    return {place[block_set] for block_set in world.legs[leg]}


ACTIONS.update(
    {
        "drop": _drop,
        "hang": _hang,
        "lose": _lose,
        "repeat": _repeat,
        "preempt": _preempt,
        "refuse": _refuse,
        "unseat": _unseat,
        "cancel": _cancel,
        "evict": _evict,
        "linger": _linger,
        "crash": _crash,
        "stall": _stall,
        "resume": _resume,
    }
)


def some_faults(draw: Random) -> Faults:
    """Return a budget with one to three kinds of faults, once or twice each."""
    faults = Faults(total=draw.choice((1, 1, 2, 3)))
    for kind in draw.sample(KINDS, draw.choice((1, 2, 3))):
        setattr(faults, kind, draw.choice((1, 2)))
    return faults


def wander(world: World, draw: Random, steps: int = 80) -> World:
    """Walk at random, faults in one step of five, timers seldom or often, then settle.

    In half of the walks one request's transfers or messages are slow: they move only when nothing
    else can, since it takes a late one to show most defects.
    """
    hurry = draw.choice((0.02, 0.1, 0.5))
    slow = (draw.choice(("land", "note", "", "")), draw.randrange(len(world.jobs)))
    for _ in range(steps):
        usual = world.usual()
        if not usual:
            break
        choices = usual
        if world.faults.total > 0 and draw.random() < 0.2:
            choices = mishaps(world) or usual
        elif len(usual) > 1:
            choices = _haste(usual, hurry, slow, draw)
        world.do(choices[draw.randrange(len(choices))])
    world.settle()
    return world


def _haste(usual: list[Move], hurry: float, slow: tuple[str, int], draw: Random) -> list[Move]:
    if usual[-1][0] == "timer" and draw.random() < hurry:
        return usual[-1:]
    rest = usual[:-1] if usual[-1][0] == "timer" else usual
    if slow[0]:
        quick = [move for move in rest if _what(move) != slow]
        return quick or usual[-1:]
    return rest


def _what(move: Move) -> tuple[str, int]:
    """Return what kind of thing moves, and for which request."""
    if move[0] == "do":
        return move[1][0], move[1][1]
    return move[0], move[1] if isinstance(move[1], int) else -1
