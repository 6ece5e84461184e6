"""What protocols share in which P writes: the writer that stops and drains, the reader that waits.

Messages, the same in every push protocol: ``addresses`` (D to P: where to write), ``done`` and
``failed`` (P to D), ``abort`` (D to P), ``ack`` (P to D: no write will come).

Traits read here: ``silent`` D frees published blocks on an abort and tells nobody; ``no_drain`` it
tells P but frees at once; ``timeout_frees`` a receive time-out frees at once; ``fenced`` the drain
timer stops the transfers and the free waits until they are quiet (else it frees when it fires).
"""

from __future__ import annotations

from hetsim.ownership._common import (
    D_LINK,
    EARLY_S,
    NO_INSTRUCTIONS,
    P_OWNER,
    Quiet,
    admit_to,
    crash_rows,
    decode_rows,
    decode_states,
    post,
    settle_failure,
    timer,
)
from hetsim.ownership._machine import DS, PS, Instructions, Machine, Run, Table, abort, fail
from hetsim.ownership._spec import Options, Variant
from hetsim.ownership._vocabulary import (
    Dispatch,
    Event,
    Free,
    Instruction,
    Reserve,
    Send,
    StartPrefill,
    StopPrefill,
    StopTimer,
    StopTransfer,
    Withdraw,
)

__all__ = [
    "DELIVERED",
    "FAILED",
    "OVER",
    "bootstrap_rows",
    "consumer_rows",
    "crash_of_producer",
    "halt",
    "mark",
    "producer_states",
    "quiet",
    "rendezvous_rows",
    "settle_rows",
    "start_at_once",
    "stop_rows",
    "unheld_rows",
]

OVER = "converting scrapping decoding preempted retracted free gone"

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
    return ["sending", "flushing"] if "free_at_finish" in v.traits else ["sending"]


def quiet(name: str, delay_s: float | None) -> Instructions:
    """Return the instruction that forgets a timer, where there is one."""
    return (StopTimer(name),) if delay_s is not None else ()


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
    t.ignore("Ps", f"free stopping {sending}", "transfer_started")
    if v.timers.transfer_s is not None:
        t.on("Ps", "sending stopping", "timer:transfer", run=_late)
        t.ignore("Ps", "free", "timer:transfer")


def _late(machine: Machine, event: Event, at_s: float) -> Instructions:
    mark(machine, "transfer_timeout")
    machine.states[PS] = "stopping"
    machine.fenced = True
    return (StopTransfer(),)


def unheld_rows(t: Table, state: str) -> None:
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
    t.on("Ps", state, "notice:abort", run=aborted)
    t.ignore("Ps", state, "failed:live cancelled:P transfer_started")


def stop_rows(t: Table, v: Variant, before: str, holding: str, sending: str) -> None:
    """Enter what makes P stop: a failed write, an abort from D, one from the client."""
    arm = timer("transfer", v.timers.transfer_s, "P")

    def failed(machine: Machine, event: Event, at_s: float) -> Instructions:
        mark(machine, "transfer_failed")
        if event.key == "failed:quiesced":
            machine.flying -= 1
        return halt(machine, arm)

    def cancel(machine: Machine, event: Event, at_s: float) -> Instructions:
        mark(machine, "aborted")
        return halt(machine, arm, abort(machine))

    def aborted(machine: Machine, event: Event, at_s: float) -> Instructions:
        return halt(machine, arm)

    t.on("Ps", sending, "failed:quiesced failed:live", run=failed)
    t.on("Ps", f"prefilling {holding}", "cancelled:P", run=cancel)
    t.on("Ps", f"prefilling {holding}", "notice:abort", run=aborted)
    t.ignore("Ps", "stopping", "cancelled:P notice:abort")
    leave = (StopPrefill(), Send("failed", "D"))
    t.ends("aborted", "Ps", before, "cancelled:P", "free", *leave, cause="client")
    t.on("Ps", before, "notice:abort", "free", StopPrefill(), Send("ack", "D"))
    t.on("Ps", "free", "notice:abort", None, Send("ack", "D"))
    t.ignore("Ps", "free", "cancelled:P")


def crash_of_producer(t: Table, v: Variant, states: str, answering: str) -> None:
    """Enter P's death: its writes die with it; in ``answering`` states the router sees it too."""
    health = timer("health", v.timers.health_s, "D")
    open_calls = tuple(answering.split())
    writes = v.facts.initiator == "P"

    def crash(machine: Machine, event: Event, at_s: float) -> Instructions:
        before = machine.states[PS]
        machine.states[PS] = "lost"
        if writes:
            machine.flying = 0
        freed: Instructions = (Free("Ps", "crash"),) if before in _HELD else ()
        seen = fail(machine, "prefill_crash") if before in open_calls else NO_INSTRUCTIONS
        listening = machine.states[DS] in ("queued", "published", "aborting")
        return freed + seen + (health if listening else NO_INSTRUCTIONS)

    t.on("Ps", f"idle prefilling stopping free {states}", "crashed:P", run=crash)
    if not writes:  # D's reads go on, and end with errors
        t.on("Ps", "lost", "landed failed:quiesced quiesced", run=_ended)


def _ended(machine: Machine, event: Event, at_s: float) -> Instructions:
    machine.flying = 0 if event.key == "quiesced" else max(0, machine.flying - 1)
    return NO_INSTRUCTIONS


def consumer_rows(t: Table, v: Variant, o: Options) -> None:
    """Enter D's side, from first sight of the request to the end of decode."""
    t.state("Ds", "absent queued")
    t.state("Ds", "published aborting", owner=D_LINK)
    decode_states(t)
    _admission(t, v)
    _answers(t, v, o)
    _withdrawal(t, v, o)
    decode_rows(t, o, "flying" if v.facts.initiator == "D" else "")


def _admission(t: Table, v: Variant) -> None:
    """D sees the request, queues for blocks, and tells P their addresses."""
    health = timer("health", v.timers.health_s, "D")
    reads: Quiet = "flying" if v.facts.initiator == "D" else ""
    beat = timer("beat", v.timers.beat_s, "D") if "renew" in v.traits else NO_INSTRUCTIONS
    reserve: Instructions = (Reserve("D"), *beat)
    if beat:
        # P's clock bounds D's silence: D says that it is alive for as long as it waits for room.
        t.on("Ds", "queued", "timer:beat", None, Send("beat", "P"), *beat)
        t.ignore("Ds", f"published aborting {OVER}", "timer:beat")

    def seen(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[DS] = "queued"
        return reserve + health if machine.states[PS] == "lost" else reserve

    told: Instructions = () if "silent" in v.traits else (Send("abort", "P"),)
    t.on("Ds", "absent", "consumer_seen", run=seen)
    t.on("Ds", "gone", "consumer_seen", "free", *told)
    t.ignore("Ds", f"queued published aborting {OVER.removesuffix(' gone')}", "consumer_seen")
    wait = timer("waiting", v.timers.waiting_s, "D")
    t.on("Ds", "queued", "credit_granted", "published", Send("addresses", "P"), *wait)
    t.ends("aborted", "Ds", "absent", "cancelled:D", "gone", cause="client")
    leave = (Withdraw("D"), *told)
    t.ends("aborted", "Ds", "queued", "cancelled:D", "free", *leave, cause="client")
    t.ignore("Ds", "aborting scrapping free gone", "cancelled:D")
    crash_rows(t, "published aborting", "absent queued gone", reads)
    t.ignore("Ds", "free", "crashed:D")


def _answers(t: Table, v: Variant, o: Options) -> None:
    """P says that all is written, or that it failed; or P falls silent."""
    to, then = admit_to(o)
    still = quiet("waiting", v.timers.waiting_s)
    t.on("Ds", "published", "notice:done", to, *still, *then)
    t.ignore("Ds", f"aborting {OVER}", "notice:done")
    settle = settle_failure(o, *still)
    drained = settle_failure(o, *quiet("drain", v.timers.drain_s))
    for key, cause in (("notice:failed", "prefill_failed"), ("timer:health", "prefill_crash")):
        t.on("Ds", "published", key, run=_ending(settle, cause))
        t.ends("failed", "Ds", "queued", key, "free", Withdraw("D"), cause=cause)
        t.on("Ds", "aborting", key, run=_ending(drained, cause))
        t.ignore("Ds", OVER, key)
    t.ends("failed", "Ds", "absent", "notice:failed", "gone", cause="prefill_failed")
    t.on("Ds", "aborting", "notice:ack quiesced", run=_ending(drained, "waiting_timeout"))
    t.ignore("Ds", OVER, "notice:ack")
    t.ignore("Ds", f"absent queued published {OVER}", "quiesced")


def _ending(settle: object, cause: str) -> Run:
    def end(machine: Machine, event: Event, at_s: float) -> Instructions:
        return settle(machine, cause)  # type: ignore[operator,no-any-return]

    return end


def _withdrawal(t: Table, v: Variant, o: Options) -> None:
    """D gives published blocks up: on the client's abort, or after waiting too long."""
    still = quiet("waiting", v.timers.waiting_s)
    told: Instructions = () if "silent" in v.traits else (Send("abort", "P"),)
    ask: Instructions = (*still, *told, *timer("drain", v.timers.drain_s, "D"))
    if {"silent", "no_drain"} & v.traits:
        now = (*still, Free("Ds", "aborted"), *told)
        t.ends("aborted", "Ds", "published", "cancelled:D", "free", *now, cause="client")
    else:
        t.ends("aborted", "Ds", "published", "cancelled:D", "aborting", *ask, cause="client")
    if v.timers.drain_s is not None:
        _drain_timer(t, v, o)
    if v.timers.waiting_s is None:
        return
    t.ignore("Ds", f"aborting {OVER}", "timer:waiting")
    settle = settle_failure(o)

    def give_up(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[DS] = "aborting"
        late = NO_INSTRUCTIONS
        if o.on_error == "fail":
            late = fail(machine, "waiting_timeout")
        return ask + late

    at_once = {"no_drain", "timeout_frees", "silent"} & v.traits
    t.on(
        "Ds",
        "published",
        "timer:waiting",
        run=_ending(settle, "waiting_timeout") if at_once else give_up,
    )


def _drain_timer(t: Table, v: Variant, o: Options) -> None:
    settle = settle_failure(o)

    def fence(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.fenced = True
        return (StopTransfer(),)

    release = fence if "fenced" in v.traits else _ending(settle, "drain_timeout")
    t.on("Ds", "aborting", "timer:drain", run=release)
    t.ignore("Ds", OVER, "timer:drain")
