"""What protocols share in which D reads: a leased source, and D's side of the read.

The source is ``Ps`` (pull_lease) or a transit copy ``X`` (copy_out).
"""

from __future__ import annotations

from hetsim.ownership._common import (
    D_LINK,
    D_OWNER,
    EARLY_S,
    NO_INSTRUCTIONS,
    P_LINK,
    QUARANTINE,
    admit_to,
    crash_rows,
    decode_rows,
    decode_states,
    post_all,
    settle_failure,
    timer,
)
from hetsim.ownership._machine import DS, PARTS, Instructions, Machine, Run, Table, abort
from hetsim.ownership._spec import Options, Variant
from hetsim.ownership._vocabulary import (
    BlockSet,
    Corrupt,
    Event,
    Free,
    Instruction,
    Reserve,
    Send,
    SetTimer,
    StopTimer,
    StopTransfer,
    Withdraw,
)

__all__ = ["lease_rows", "leased", "pull_rows"]

_MOVING = "reserved reading"
_TOLD = "converting scrapping decoding preempted retracted free"
_AFTER = f"{_TOLD} gone"


def leased(v: Variant, part: BlockSet, *first: Instruction) -> Run:
    """Return the move that puts ``part`` under the lease; ``first`` comes before the timer."""
    place = PARTS.index(part)
    after: Instructions = (*first, *timer("lease", v.timers.lease_s, "P", _sweep(v)))
    lease_s = v.timers.lease_s or 0.0

    def lease(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[place] = "leased"
        machine.deadline_s = at_s + lease_s
        return after

    return lease


def lease_rows(t: Table, v: Variant, part: BlockSet) -> None:
    """Enter release, renewal, expiry and fence of the leased block set."""
    # Only a fenced lease knows the wait between the order to stop and the proof of quiet.
    revoking = " revoking" if "fenced" in v.traits else ""
    t.state(part, f"leased{revoking}", owner=P_LINK)
    t.state(part, "free lost")
    delivered: tuple[Instruction, ...] = (Free(part, "delivered"),)
    ack: tuple[Instruction, ...] = (Send("ack", "D"),) if _resends(v) else ()
    if v.timers.lease_s is not None:
        delivered = (StopTimer("lease"), *delivered)
        _expiry(t, v, part)
    t.on(part, "leased", "notice:done", "free", *delivered, *ack)
    if ack:  # said once more: the acknowledgement was lost; a dead peer refuses, which ends it too
        t.on(part, "free lost", "notice:done", None, *ack)
        t.ignore(part, "revoking", "notice:done")
    else:
        t.ignore(part, f"free{revoking}", "notice:done")
    if "settles" in v.traits:
        t.on(part, "leased", "cancelled:P", run=_given_up(part))
        t.ignore(part, f"free{revoking}", "cancelled:P")
    if revoking:
        t.on(part, "revoking", "quiesced", "free", Free(part, "lease_expired"))
    t.ignore(part, "free leased", "quiesced")
    t.on(part, f"leased{revoking}", "crashed:P", "lost", Free(part, "crash"))
    if "renew" in v.traits:
        t.on(part, "leased", "notice:beat", run=_renewal(v))
        t.ignore(part, f"free{revoking}", "notice:beat")


def _resends(v: Variant) -> bool:
    return v.timers.resend_s is not None


def _done(v: Variant, rides: bool = False) -> Instructions:
    """Tell P that it may release; where D resends, until P says that it has heard."""
    return (Send("done", "P", rides), *timer("resend", v.timers.resend_s, "D"))


def _given_up(part: BlockSet) -> Run:
    """Nobody waits for the KV any more: P lets go of what nobody reads, and refuses later reads."""
    place = PARTS.index(part)
    let_go: Instructions = (StopTimer("lease"), Free(part, "aborted"))

    def give_up(machine: Machine, event: Event, at_s: float) -> Instructions:
        if machine.flying:  # D ends its read, and says so
            return NO_INSTRUCTIONS
        machine.states[place] = "free"
        return let_go

    return give_up


def _renewal(v: Variant) -> Run:
    extend_s = v.timers.extend_s or 0.0

    def renew(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.deadline_s = max(machine.deadline_s, at_s + extend_s)
        return NO_INSTRUCTIONS

    return renew


def _expiry(t: Table, v: Variant, part: BlockSet) -> None:
    fenced = "fenced" in v.traits
    stop: Instructions = (StopTransfer(),)
    expired: Instructions = (Free(part, "lease_expired"),)
    under_read: Instructions = (*expired, Corrupt("lease_expired_under_read"))
    sweep = _sweep(v)
    place = PARTS.index(part)

    def expire(machine: Machine, event: Event, at_s: float) -> Instructions:
        left_s = machine.deadline_s - at_s
        if left_s > EARLY_S:  # renewed since: one timer per request, re-armed only when it fires
            return (SetTimer("lease", left_s, "P", sweep),)  # type: ignore[arg-type]
        if fenced:
            machine.states[place] = "revoking"
            return stop
        machine.states[place] = "free"
        if not machine.flying:
            return expired
        machine.corrupt = True
        return under_read

    t.on(part, "leased", "timer:lease", run=expire)
    t.ignore(part, "free revoking" if fenced else "free", "timer:lease")


def _sweep(v: Variant) -> str:
    # Runtimes look for expired leases once per step; a sound one has a clock of its own.
    return "wall" if "fenced" in v.traits else "step"


def _still(v: Variant) -> Instructions:
    return (StopTimer("beat"),) if "renew" in v.traits else ()


def pull_rows(t: Table, v: Variant, o: Options, part: BlockSet) -> None:
    """Enter D's side, from first sight of the request to the end of decode."""
    t.state("Ds", "absent queued")
    t.state("Ds", "reserved", owner=D_OWNER)
    t.state("Ds", "reading quarantine", owner=D_LINK)
    decode_states(t)
    _consumer(t, v)
    _grant(t, v, o, part)
    _transfer(t, v, o)
    decode_rows(t, o, quiet="flying", settles="settles" in v.traits)
    if _resends(v):
        t.on("Ds", _TOLD, "timer:resend", None, *_done(v))
        t.on("Ds", _TOLD, "notice:ack", None, StopTimer("resend"))


def _consumer(t: Table, v: Variant) -> None:
    beat = timer("beat", v.timers.beat_s, "D", _sweep(v))
    if "renew" in v.traits:
        live = "queued reserved reading quarantine"
        t.on("Ds", live, "timer:beat", None, Send("beat", "P"), *beat)
        t.ignore("Ds", _AFTER, "timer:beat")
    t.on("Ds", "absent", "consumer_seen", "queued", Reserve("D"), *beat)
    t.on("Ds", "gone", "consumer_seen", "free", *_done(v))
    # vLLM 0.33: what D rejects before admission is received as nothing, so that P hears of it
    # (vllm-project/vllm#41269); before, P waited for its timer.
    says = _done(v) if {"renew", "tell"} & v.traits else NO_INSTRUCTIONS
    refuse = (Withdraw("D"), *_still(v), *says)
    t.ends("failed", "Ds", "queued", "refused", "free", *refuse, cause="refused")
    seen = "queued reserved reading quarantine converting scrapping decoding preempted retracted"
    t.ignore("Ds", f"{seen} free", "consumer_seen")
    t.ends("aborted", "Ds", "absent", "cancelled:D", "gone", cause="client")
    leave = (Withdraw("D"), *_still(v), *_done(v))
    t.ends("aborted", "Ds", "queued", "cancelled:D", "free", *leave, cause="client")
    t.ignore("Ds", "scrapping free gone", "cancelled:D")
    crash_rows(t, "reserved reading quarantine", "absent queued gone", quiet="flying")
    t.ignore("Ds", "free", "crashed:D")


def _grant(t: Table, v: Variant, o: Options, part: BlockSet) -> None:
    arm = timer("transfer", v.timers.transfer_s, "D")
    settle = settle_failure(o, *_still(v))
    checked = "generation" in v.traits
    stale: Instructions = (Corrupt("stale_read"),)
    place = PARTS.index(part)
    early = "early" in v.traits

    def granted(machine: Machine, event: Event, at_s: float) -> Instructions:
        source = machine.states[place]
        if early and source in ("empty", "reserved"):
            machine.states[DS] = "waiting"
            return NO_INSTRUCTIONS
        given_up = source != "leased" and source != "lost"
        if given_up and checked:
            return settle(machine, "stale_source")
        machine.states[DS] = "reserved"
        posts = post_all(machine, o.handles) + arm
        if not given_up:
            return posts
        machine.corrupt = True
        return posts + stale

    t.on("Ds", "queued", "credit_granted", run=granted)
    t.on("Ds", "reserved", "transfer_started", "reading")
    if early:
        _early_rows(t, granted)


def _early_rows(t: Table, granted: Run) -> None:
    """Enter D's wait, with blocks in hand, for a copy that P has no room for yet."""
    t.state("Ds", "waiting", owner=D_OWNER)
    t.on("Ds", "waiting", "notice:ready", run=granted)
    t.ignore("Ds", f"absent queued {_MOVING} quarantine {_AFTER}", "notice:ready")
    t.ignore("Ds", "waiting", "consumer_seen quiesced")
    gone = Free("Ds", "aborted")
    t.ends("aborted", "Ds", "waiting", "cancelled:D", "free", gone, cause="client")
    crash_rows(t, "waiting", "", quiet="flying")


def _transfer(t: Table, v: Variant, o: Options) -> None:
    failed, over = _failing(v, o)
    t.on("Ds", _MOVING, "landed", run=_landing(v, o))
    t.on("Ds", _MOVING, "failed:quiesced failed:live", run=failed)
    t.on("Ds", "quarantine", "landed failed:quiesced quiesced", run=over)
    t.ignore("Ds", "quarantine", "failed:live")

    settles = "settles" in v.traits

    def cancel(machine: Machine, event: Event, at_s: float) -> Instructions:
        first = QUARANTINE if machine.states[DS] != "quarantine" else NO_INSTRUCTIONS
        machine.states[DS] = "quarantine"
        if settles:
            machine.mark = "client"
            return first
        return (*first, *abort(machine))

    t.on("Ds", f"{_MOVING} quarantine", "cancelled:D", run=cancel)
    t.on("Ds", _MOVING, "preempted", run=_unseating(v))
    t.ignore("Ds", "quarantine", "preempted")
    if v.timers.transfer_s is not None:
        t.on("Ds", f"{_MOVING} quarantine", "timer:transfer", run=_late)
        t.ignore("Ds", _AFTER, "timer:transfer")
    if "drain" not in v.traits:
        # Handles that were still in flight when the blocks were freed end here, too late.
        reused = "free decoding preempted retracted"
        t.on("Ds", reused, "landed failed:quiesced quiesced", run=_straggler)
        t.ignore("Ds", reused, "failed:live")
    t.ignore_rest("Ds", f"absent queued {_MOVING} {_AFTER}", ["quiesced"])


def _unseating(v: Variant) -> Run:
    """D takes back blocks that are being read into: once the read is over, or at once."""
    at_once: Instructions = (*_still(v), Free("Ds", "preempted"), Reserve("D"))
    drains = "drain" in v.traits

    def unseat(machine: Machine, event: Event, at_s: float) -> Instructions:
        if drains:
            machine.mark = "preempted"
            machine.states[DS] = "quarantine"
            return QUARANTINE
        machine.states[DS] = "preempted"
        return at_once

    return unseat


def _late(machine: Machine, event: Event, at_s: float) -> Instructions:
    machine.mark = machine.mark or "transfer_timeout"
    machine.states[DS] = "quarantine"
    return (*QUARANTINE, StopTransfer())


def _straggler(machine: Machine, event: Event, at_s: float) -> Instructions:
    machine.flying = 0 if event.key == "quiesced" else max(0, machine.flying - 1)
    return NO_INSTRUCTIONS


def _landing(v: Variant, o: Options) -> Run:
    to, then = admit_to(o)
    quiet = (StopTimer("transfer"),) if v.timers.transfer_s is not None else ()
    done: Instructions = (*_still(v), *quiet, *_done(v, "inband" in v.traits), *then)
    handles = o.handles

    def land(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.flying -= 1
        machine.count += 1
        if machine.count < handles:
            return NO_INSTRUCTIONS
        machine.states[DS] = to
        return done

    return land


def _failing(v: Variant, o: Options) -> tuple[Run, Run]:
    settle = settle_failure(o, *_still(v))
    drain = "drain" in v.traits
    told: Instructions = _done(v)

    def end(machine: Machine) -> Instructions:
        whole = machine.mark in ("", "client", "preempted")
        answer = settle(machine, machine.mark or "transfer_failed")
        return answer + told if whole or "tell" in v.traits else answer

    def failed(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.mark = machine.mark or "transfer_failed"
        if event.key == "failed:quiesced":
            machine.flying -= 1
        if not machine.flying or not drain:
            return end(machine)
        machine.states[DS] = "quarantine"
        return QUARANTINE

    def over(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.flying = 0 if event.key == "quiesced" else machine.flying - 1
        if event.key == "failed:quiesced":
            machine.mark = machine.mark or "transfer_failed"
        return NO_INSTRUCTIONS if machine.flying else end(machine)

    return failed, over
