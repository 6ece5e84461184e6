"""What protocols share in which P writes: the writer that stops and drains, the reader that waits.

Messages, the same in every push protocol: ``addresses`` (D to P: where to write), ``done`` and
``failed`` (P to D), ``abort`` (D to P), ``ack`` (P to D: no write will come), ``dead`` (the router
to D: P has died).

Traits read here: ``silent`` D frees published blocks on an abort and tells nobody; ``no_drain`` it
tells P but frees at once; ``timeout_frees`` a receive time-out frees at once; ``fenced`` the drain
timer stops the transfers and the free waits until they are quiet (else it frees when it fires);
``late_dispatch`` D hears of the request only when the prefill is done; ``keep`` a failed source
stays to its timer; ``renew`` D's heartbeats renew P's wait for addresses; ``settles`` a request
whose client has gone ends when D's blocks are given back, not before; ``told`` the router, whose
connection P's death closed, tells D of it, and D ends the request.
"""

from __future__ import annotations

from hetsim.ownership._common import (
    EARLY_S,
    NO_INSTRUCTIONS,
    P_OWNER,
    post,
    quiet,
    timer,
)
from hetsim.ownership._machine import DS, PS, Instructions, Machine, Table, abort, fail
from hetsim.ownership._spec import Options, Variant
from hetsim.ownership._vocabulary import (
    Dispatch,
    Event,
    Free,
    Instruction,
    Send,
    StartPrefill,
    StopPrefill,
    StopTransfer,
)

__all__ = [
    "DELIVERED",
    "FAILED",
    "bootstrap_rows",
    "crash_of_producer",
    "halt",
    "mark",
    "producer_states",
    "rendezvous_rows",
    "settle_rows",
    "start_at_once",
    "stop_rows",
    "unheld_rows",
]

DELIVERED: Instructions = (Free("Ps", "delivered"), Send("done", "D"))
FAILED: Instructions = (Free("Ps", "stopped"), Send("failed", "D"))
_ACK: Instructions = (Free("Ps", "stopped"), Send("ack", "D"))
_STOP: Instructions = (StopPrefill(),)
_HELD = ("prefilling", "held", "sending", "stopping", "kept")


def producer_states(t: Table, before: str, holding: str) -> None:
    """Declare the states of ``Ps``: without blocks, computing, with blocks, at the end."""
    t.state("Ps", f"idle {before}")
    t.state("Ps", "prefilling", owner=P_OWNER, worker="P.compute")
    t.state("Ps", f"{holding} stopping", owner="P.connector")
    t.state("Ps", "free lost")


def start_at_once(t: Table) -> None:
    """Enter the start of a prefill that waits for nobody."""
    t.on("Ps", "idle", "arrived", "waiting", StartPrefill(), Dispatch())
    t.on("Ps", "waiting", "prefill_started", "prefilling")
    t.ignore("Ps", "prefilling", "produced")


def rendezvous_rows(t: Table, v: Variant, o: Options) -> None:
    """Enter a prefill that waits for D's addresses, each piece pushed as it is computed."""
    later = " ".join(["waiting prefilling stopping free", *_sending(v)])
    wait = timer("bootstrap", v.timers.bootstrap_s, "P")
    arm = timer("transfer", v.timers.transfer_s, "P")
    known = (*quiet("bootstrap", v.timers.bootstrap_s), StartPrefill())
    t.on("Ps", "idle", "arrived", "bootstrapping", Dispatch(), *wait)
    t.on("Ps", "bootstrapping", "notice:addresses", "waiting", *known)
    t.ignore("Ps", later, "notice:addresses")
    t.on("Ps", "waiting", "prefill_started", "prefilling")
    bootstrap_rows(t, v, "bootstrapping", later, Send("failed", "D"))

    # Some runtimes free the source when the request finishes, whatever is still in the send queue.
    early = "free_at_finish" in v.traits
    after = "flushing" if early else "sending"
    last: Instructions = (Free("Ps", "finished"),) if early else arm

    def chunk(machine: Machine, event: Event, at_s: float) -> Instructions:
        if machine.fenced:
            mark(machine, "fenced")
            return halt(machine, arm)
        if event.key == "produced":
            return post(machine, event.piece, event.of)
        machine.states[PS] = after
        return post(machine, event.piece, event.of) + last

    t.on("Ps", "prefilling", "produced produced:last", run=chunk)


def bootstrap_rows(t: Table, v: Variant, waits: str, later: str, *last: Instruction) -> None:
    """Enter the clock with which P waits for D's addresses; ``renew``: it measures D's silence."""
    bound_s = v.timers.bootstrap_s
    if bound_s is None:
        return

    def expire(machine: Machine, event: Event, at_s: float) -> Instructions:
        left_s = machine.deadline_s - at_s
        if left_s > EARLY_S:
            return timer("bootstrap", left_s, "P")
        machine.states[PS] = "free"
        return last

    def renew(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.deadline_s = at_s + bound_s
        return NO_INSTRUCTIONS

    t.on("Ps", waits, "timer:bootstrap", run=expire)
    t.ignore("Ps", later, "timer:bootstrap")
    if "renew" in v.traits:
        t.on("Ps", waits, "notice:beat", run=renew)
        t.ignore("Ps", later, "notice:beat")


def _sending(v: Variant) -> list[str]:
    return ["flushing"] if "free_at_finish" in v.traits else ["sending"]


def mark(machine: Machine, cause: str) -> None:
    """Remember the first cause of a failure."""
    machine.mark = machine.mark or cause


def halt(machine: Machine, arm: Instructions, first: Instructions = ()) -> Instructions:
    """P stops: it frees at once if no write is in flight, else when the last one is over."""
    stop = _STOP if machine.states[PS] == "prefilling" else NO_INSTRUCTIONS
    if machine.flying:
        machine.states[PS] = "stopping"
        return stop + arm + first
    return stop + _let_go(machine) + first


def _let_go(machine: Machine) -> Instructions:
    """No write is in flight: free the source, or keep it to its timer as some runtimes do."""
    v = machine.plan.variant
    if "keep" in v.traits and machine.mark == "transfer_failed":
        machine.states[PS] = "kept"
        return (Send("failed", "D"), *timer("lease", v.timers.lease_s, "P"))
    machine.states[PS] = "free"
    return FAILED if machine.mark else _ACK


def settle_rows(t: Table, v: Variant, sending: str, others: str) -> None:
    """Enter landings and failures: ``sending`` states with writes in flight, ``others`` without."""

    def land(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.flying -= 1
        machine.count += 1
        if machine.count < event.of:
            return NO_INSTRUCTIONS
        machine.states[PS] = "free"
        return DELIVERED

    def settled(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.flying = 0 if event.key == "quiesced" else machine.flying - 1
        return NO_INSTRUCTIONS if machine.flying else _let_go(machine)

    t.on("Ps", sending, "landed", run=land)
    t.on("Ps", "stopping", "landed failed:quiesced quiesced", run=settled)
    t.ignore("Ps", "stopping", "failed:live")
    t.ignore("Ps", f"idle free {sending} {others}", "quiesced")
    if v.timers.transfer_s is not None:
        t.on("Ps", "sending stopping", "timer:transfer", run=_late)
        t.ignore("Ps", "free", "timer:transfer")


def _late(machine: Machine, event: Event, at_s: float) -> Instructions:
    mark(machine, "transfer_timeout")
    machine.states[PS] = "stopping"
    machine.fenced = True
    return (StopTransfer(),)


def unheld_rows(t: Table, state: str, told: bool) -> None:
    """Enter writes from blocks that P has freed already: the last one tells D."""
    done: Instructions = (Send("done", "D"),)
    lost: Instructions = (Send("failed", "D"),)

    def over(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.flying = 0 if event.key == "quiesced" else machine.flying - 1
        if event.key != "landed":
            mark(machine, "transfer_failed")
        if machine.flying:
            return NO_INSTRUCTIONS
        machine.states[PS] = "free"
        return lost if machine.mark else done

    def aborted(machine: Machine, event: Event, at_s: float) -> Instructions:
        mark(machine, "aborted")
        return NO_INSTRUCTIONS

    t.on("Ps", state, "landed failed:quiesced quiesced", run=over)
    if told:
        t.on("Ps", state, "notice:abort", run=aborted)
    t.ignore("Ps", state, "failed:live cancelled:P")


def stop_rows(t: Table, v: Variant, before: str, holding: str, sending: str) -> None:
    """Enter what makes P stop: a failed write, an abort from D, one from the client."""
    told = "silent" not in v.traits
    # D speaks to P only once the router has shown it the request.
    hears = [] if "late_dispatch" in v.traits else ["prefilling"]
    arm = timer("transfer", v.timers.transfer_s, "P")

    def failed(machine: Machine, event: Event, at_s: float) -> Instructions:
        mark(machine, "transfer_failed")
        if event.key == "failed:quiesced":
            machine.flying -= 1
        return halt(machine, arm)

    settles = "settles" in v.traits

    def cancel(machine: Machine, event: Event, at_s: float) -> Instructions:
        mark(machine, "aborted")
        if settles and _holds(machine):
            return halt(machine, arm)
        return halt(machine, arm, abort(machine))

    def cancel_early(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[PS] = "free"
        return leave if settles and _holds(machine) else leave + abort(machine)

    def aborted(machine: Machine, event: Event, at_s: float) -> Instructions:
        return halt(machine, arm)

    t.on("Ps", sending, "failed:quiesced failed:live", run=failed)
    t.on("Ps", f"prefilling {holding}", "cancelled:P", run=cancel)
    t.ignore("Ps", "stopping", "cancelled:P")
    leave: Instructions = (StopPrefill(), Send("failed", "D"))
    t.on("Ps", before, "cancelled:P", run=cancel_early)
    t.ignore("Ps", "free", "cancelled:P")
    if not told:
        return
    t.on("Ps", " ".join([*hears, holding]), "notice:abort", run=aborted)
    t.ignore("Ps", "stopping", "notice:abort")
    if hears:
        t.on("Ps", before, "notice:abort", "free", StopPrefill(), Send("ack", "D"))
    t.on("Ps", "free", "notice:abort", None, Send("ack", "D"))


def _holds(machine: Machine) -> bool:
    """Whether D holds blocks, so that the request ends there."""
    return machine.owner("Ds") is not None


def crash_of_producer(t: Table, v: Variant, states: str, answering: str) -> None:
    """Enter P's death: its writes die with it; in ``answering`` states the router sees it too."""
    health = timer("health", v.timers.health_s, "D")
    open_calls = tuple(answering.split())
    writes = v.facts.initiator == "P"
    dead: Instructions = (Send("dead", "D"),) if "told" in v.traits else ()

    def crash(machine: Machine, event: Event, at_s: float) -> Instructions:
        before = machine.states[PS]
        machine.states[PS] = "lost"
        if writes:
            machine.flying = 0
        freed: Instructions = (Free("Ps", "crash"),) if before in _HELD else ()
        listening = machine.states[DS] in ("queued", "published", "aborting", "cancelling")
        seen: Instructions = NO_INSTRUCTIONS
        if before in open_calls:
            seen = dead if dead and listening else fail(machine, "prefill_crash")
        return freed + seen + (health if listening else NO_INSTRUCTIONS)

    t.on("Ps", f"prefilling stopping free {states}", "crashed:P", run=crash)
    if not writes:  # D's reads go on, and end with errors
        t.on("Ps", "lost", "landed failed:quiesced quiesced", run=_ended)


def _ended(machine: Machine, event: Event, at_s: float) -> Instructions:
    machine.flying = 0 if event.key == "quiesced" else max(0, machine.flying - 1)
    return NO_INSTRUCTIONS
