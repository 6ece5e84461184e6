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
_AFTER = "converting scrapping decoding preempted retracted free gone"


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
    if v.timers.lease_s is not None:
        delivered = (StopTimer("lease"), *delivered)
        _expiry(t, v, part)
    t.on(part, "leased", "notice:done", "free", *delivered)
    t.ignore(part, f"free{revoking}", "notice:done")
    if revoking:
        t.on(part, "revoking", "quiesced", "free", Free(part, "lease_expired"))
    t.ignore(part, "free leased", "quiesced")
    t.on(part, f"leased{revoking}", "crashed:P", "lost", Free(part, "crash"))
    if "renew" in v.traits:
        t.on(part, "leased", "notice:beat", run=_renewal(v))
        t.ignore(part, f"free{revoking}", "notice:beat")


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
    decode_rows(t, o, quiet="flying")


def _consumer(t: Table, v: Variant) -> None:
    beat = timer("beat", v.timers.beat_s, "D", _sweep(v))
    if "renew" in v.traits:
        live = "queued reserved reading quarantine"
        t.on("Ds", live, "timer:beat", None, Send("beat", "P"), *beat)
        t.ignore("Ds", _AFTER, "timer:beat")
    t.on("Ds", "absent", "consumer_seen", "queued", Reserve("D"), *beat)
    t.on("Ds", "gone", "consumer_seen", "free", Send("done", "P"))
    seen = "queued reserved reading quarantine converting scrapping decoding preempted retracted"
    t.ignore("Ds", f"{seen} free", "consumer_seen")
    t.ends("aborted", "Ds", "absent", "cancelled:D", "gone", cause="client")
    leave = (Withdraw("D"), *_still(v), Send("done", "P"))
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

    def granted(machine: Machine, event: Event, at_s: float) -> Instructions:
        source = machine.states[place]
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


def _transfer(t: Table, v: Variant, o: Options) -> None:
    failed, over = _failing(v, o)
    t.on("Ds", _MOVING, "landed", run=_landing(v, o))
    t.on("Ds", _MOVING, "failed:quiesced failed:live", run=failed)
    t.on("Ds", "quarantine", "landed failed:quiesced quiesced", run=over)
    t.ignore("Ds", "quarantine", "failed:live")

    def cancel(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[DS] = "quarantine"
        return (*QUARANTINE, *abort(machine))

    t.on("Ds", _MOVING, "cancelled:D", run=cancel)
    t.on("Ds", "quarantine", "cancelled:D", run=lambda machine, event, at_s: abort(machine))
    if v.timers.transfer_s is not None:
        t.on("Ds", f"{_MOVING} quarantine", "timer:transfer", run=_late)
        t.ignore("Ds", _AFTER, "timer:transfer")
    if "drain" not in v.traits:
        # Handles that were still in flight when the blocks were freed end here, too late.
        reused = "free decoding preempted retracted"
        t.on("Ds", reused, "landed failed:quiesced quiesced", run=_straggler)
        t.ignore("Ds", reused, "failed:live")
    t.ignore_rest("Ds", f"absent queued {_MOVING} {_AFTER}", ["quiesced"])


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
    done: Instructions = (*_still(v), *quiet, Send("done", "P"), *then)
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
    told: Instructions = (Send("done", "P"),)

    def end(machine: Machine) -> Instructions:
        whole = not machine.mark
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
