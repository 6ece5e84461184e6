"""What protocols share in which P writes: D's side, which publishes its blocks and waits.

Messages and traits are those of ``_push.py``.
"""

from __future__ import annotations

from hetsim.ownership._common import (
    D_LINK,
    NO_INSTRUCTIONS,
    Quiet,
    admit_to,
    crash_rows,
    decode_rows,
    decode_states,
    quiet,
    settle_failure,
    timer,
)
from hetsim.ownership._machine import DS, PS, Instructions, Machine, Run, Table, fail
from hetsim.ownership._spec import Options, Variant
from hetsim.ownership._vocabulary import Event, Free, Reserve, Send, StopTransfer, Withdraw

__all__ = ["consumer_rows"]

OVER = "converting scrapping decoding preempted retracted free gone"

# ``cancelling``: the client has gone, and P has not yet said that its writes are over. Only
# variants that settle know it; others end the request first, and drain as ``aborting``.


def consumer_rows(t: Table, v: Variant, o: Options) -> None:
    """Enter D's side, from first sight of the request to the end of decode."""
    t.state("Ds", "absent queued")
    t.state("Ds", f"published {_draining(v)}", owner=D_LINK)
    decode_states(t)
    _admission(t, v)
    _answers(t, v, o)
    _withdrawal(t, v, o)
    reads: Quiet = "flying" if v.facts.initiator == "D" else ""
    decode_rows(t, o, reads, settles="settles" in v.traits)


def _admission(t: Table, v: Variant) -> None:
    """D sees the request, queues for blocks, and tells P their addresses."""
    health = timer("health", v.timers.health_s, "D")
    reads: Quiet = "flying" if v.facts.initiator == "D" else ""
    beat = timer("beat", v.timers.beat_s, "D") if "renew" in v.traits else NO_INSTRUCTIONS
    reserve: Instructions = (Reserve("D"), *beat)
    if beat:
        # P's clock bounds D's silence: D says that it is alive for as long as it waits for room.
        t.on("Ds", "queued", "timer:beat", None, Send("beat", "P"), *beat)
        # No such variant frees at once.
        t.ignore("Ds", f"published {_draining(v)} {OVER}", "timer:beat")

    def seen(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[DS] = "queued"
        return reserve + health if machine.states[PS] == "lost" else reserve

    told: Instructions = () if "silent" in v.traits else (Send("abort", "P"),)
    t.on("Ds", "absent", "consumer_seen", run=seen)
    t.on("Ds", "gone", "consumer_seen", "free", *told)
    aborting = _draining(v)
    later = f"{aborting} {OVER.removesuffix(' gone')}"
    t.ignore("Ds", f"queued published {later}", "consumer_seen")
    wait = timer("waiting", v.timers.waiting_s, "D")
    t.on("Ds", "queued", "credit_granted", "published", Send("addresses", "P"), *wait)
    t.ends("aborted", "Ds", "absent", "cancelled:D", "gone", cause="client")
    leave = (Withdraw("D"), *told)
    t.ends("failed", "Ds", "queued", "refused", "free", *leave, cause="refused")
    t.ends("aborted", "Ds", "queued", "cancelled:D", "free", *leave, cause="client")
    if "settles" in v.traits:
        t.on("Ds", "aborting", "cancelled:D", "cancelling")
        t.ignore("Ds", "cancelling scrapping free gone", "cancelled:D")
    else:
        t.ignore("Ds", f"{aborting} scrapping free gone", "cancelled:D")
    crash_rows(t, f"published {aborting}", "absent queued gone", reads)
    t.ignore("Ds", "free", "crashed:D")


def _answers(t: Table, v: Variant, o: Options) -> None:
    """P says that all is written, or that it failed; or P falls silent."""
    to, then = admit_to(o)
    still = quiet("waiting", v.timers.waiting_s)
    t.on("Ds", "published", "notice:done", to, *still, *then)
    t.ignore("Ds", f"{_draining(v)} {OVER}", "notice:done")
    settle = settle_failure(o, *still)
    drained = settle_failure(o, *quiet("drain", v.timers.drain_s))
    keys = [("notice:failed", "prefill_failed")]
    if v.timers.health_s is not None:
        keys.append(("timer:health", "prefill_crash"))
    if "told" in v.traits:
        keys.append(("notice:dead", "prefill_crash"))
    for key, cause in keys:
        t.on("Ds", "published", key, run=_ending(settle, cause))
        t.ends("failed", "Ds", "queued", key, "free", Withdraw("D"), cause=cause)
        if _drains(v):
            t.on("Ds", "aborting", key, run=_ending(drained, cause))
        if "settles" in v.traits:
            t.on("Ds", "cancelling", key, run=_ending(drained, "client"))
        t.ignore("Ds", OVER, key)
    t.ends("failed", "Ds", "absent", "notice:failed", "gone", cause="prefill_failed")
    if _drains(v):
        t.on("Ds", "aborting", "notice:ack quiesced", run=_ending(drained, "waiting_timeout"))
    if "settles" in v.traits:
        t.on("Ds", "cancelling", "notice:ack quiesced", run=_ending(drained, "client"))
    t.ignore("Ds", OVER, "notice:ack")
    t.ignore("Ds", f"absent queued published {OVER}", "quiesced")


def _drains(v: Variant) -> bool:
    """Whether D waits for P's word before it frees what it had published."""
    return not {"silent", "no_drain"} & v.traits


def _draining(v: Variant) -> str:
    """Return the states in which D waits for that word."""
    if "settles" in v.traits:
        return "aborting cancelling"
    return "aborting" if _drains(v) else ""


def _ending(settle: object, cause: str) -> Run:
    def end(machine: Machine, event: Event, at_s: float) -> Instructions:
        return settle(machine, cause)  # type: ignore[operator,no-any-return]

    return end


def _withdrawal(t: Table, v: Variant, o: Options) -> None:
    """D gives published blocks up: on the client's abort, or after waiting too long."""
    still = quiet("waiting", v.timers.waiting_s)
    told: Instructions = () if "silent" in v.traits else (Send("abort", "P"),)
    ask: Instructions = (*still, *told, *timer("drain", v.timers.drain_s, "D"))
    if not _drains(v):
        now = (*still, Free("Ds", "aborted"), *told)
        t.ends("aborted", "Ds", "published", "cancelled:D", "free", *now, cause="client")
    elif "settles" in v.traits:
        t.on("Ds", "published", "cancelled:D", "cancelling", *ask)
    else:
        t.ends("aborted", "Ds", "published", "cancelled:D", "aborting", *ask, cause="client")
    if v.timers.drain_s is not None and _drains(v):
        _drain_timer(t, v, o)
    if v.timers.waiting_s is None:
        return
    t.ignore("Ds", f"{_draining(v)} {OVER}", "timer:waiting")
    settle = settle_failure(o)

    def give_up(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[DS] = "aborting"
        late = NO_INSTRUCTIONS
        if o.on_error == "fail" and "settles" not in v.traits:
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
    settles = "settles" in v.traits

    def fence(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.fenced = True
        return (StopTransfer(),)

    release = fence if "fenced" in v.traits else _ending(settle, "drain_timeout")
    t.on("Ds", "aborting", "timer:drain", run=release)
    if settles:
        gone = fence if "fenced" in v.traits else _ending(settle, "client")
        t.on("Ds", "cancelling", "timer:drain", run=gone)
    t.ignore("Ds", OVER, "timer:drain")
