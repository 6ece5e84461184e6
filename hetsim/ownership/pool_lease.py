"""Protocol F, POOL_LEASE: P puts into a shared pool; D looks up, reads under a lease, and checks.

Source: Mooncake Store (3b5a594) and its likes. The object X is ``writing`` (space reserved, owned
by the writer), ``complete`` (owned by the pool, whoever reads it), ``zombie`` (its writer died) or
gone. A lookup protects it for a read lease; a reader checks after the read that the lease still
held, else it discards what it read and computes the prompt itself.

Traits: ``pinned`` an object is not evicted while it is read; ``no_check`` the reader trusts what it
read; ``by_address`` it reads where the lookup said, whatever is there by now; ``reclaims`` the pool
takes the memory of an unfinished put back after a time, though its writer may still write;
``fenced`` puts are stopped and drained when they take too long; ``settles`` a request whose
client leaves under a read ends when the read is over and D's blocks are given back.
"""

from __future__ import annotations

from hetsim.ownership._common import (
    D_LINK,
    NO_INSTRUCTIONS,
    P_LINK,
    P_OWNER,
    QUARANTINE,
    RECOMPUTE,
    admit_to,
    crash_rows,
    decode_rows,
    decode_states,
    settle_failure,
    timer,
)
from hetsim.ownership._machine import DS, PS, Instructions, Machine, Run, Table, X, abort, fail
from hetsim.ownership._registry import Protocol, protocol
from hetsim.ownership._spec import PROTOCOL_INVARIANTS, Facts, Options, Timers, Variant
from hetsim.ownership._vocabulary import (
    Corrupt,
    Dispatch,
    Event,
    Free,
    Reserve,
    StartPrefill,
    StartTransfer,
    StopPrefill,
    StopTimer,
    StopTransfer,
    Withdraw,
)

_FACTS = Facts(False, "request", "X", "put", ("Ps", "X", "Ds"), ("Ps", "X"), ("X", "Ds"))
_AFTER = "converting scrapping decoding preempted retracted free gone"


def build(v: Variant, o: Options) -> Table:
    """Return the table of one variant."""
    t = Table({"Ps": "idle", "X": "empty", "Ds": "absent"})
    t.state("Ps", "idle waiting")
    t.state("Ps", "prefilling", owner=P_OWNER, worker="P.compute")
    t.state("Ps", "full storing", owner=P_LINK)
    t.state("Ps", "free lost")
    t.state("X", "empty free lost")
    t.state("X", "writing", owner=P_LINK)
    t.state("X", "complete zombie", owner="pool")
    t.state("Ds", "absent queued missed")
    t.state("Ds", "loading quarantine", owner=D_LINK)
    decode_states(t)
    _prefill(t)
    _put(t, v, o)
    _object(t, v)
    _lookup(t, v, o)
    _load(t, v, o)
    for part in ("Ps", "X", "Ds"):
        t.ignore_rest(part, "lost")
    return t


def _prefill(t: Table) -> None:
    t.on("Ps", "idle", "arrived", "waiting", StartPrefill())
    t.on("Ps", "waiting", "prefill_started", "prefilling")
    t.ignore("Ps", "prefilling", "produced")
    t.on("Ps", "prefilling", "produced:last", "full", Reserve("X"))
    t.ends("aborted", "Ps", "waiting", "cancelled:P", "free", StopPrefill(), cause="client")
    stop = (StopPrefill(), Free("Ps", "aborted"))
    t.ends("aborted", "Ps", "prefilling", "cancelled:P", "free", *stop, cause="client")
    leave = (Withdraw("X"), Free("Ps", "aborted"))
    t.ends("aborted", "Ps", "full", "cancelled:P", "free", *leave, cause="client")
    # A put goes on when its client leaves: the object may serve others.
    t.on("Ps", "storing", "cancelled:P", run=lambda machine, event, at_s: abort(machine))
    t.ignore("Ps", "free", "cancelled:P crashed:P")
    t.ends("failed", "Ps", "waiting", "crashed:P", "lost", cause="prefill_crash")
    crash = Free("Ps", "crash")
    t.ends("failed", "Ps", "prefilling", "crashed:P", "lost", crash, cause="prefill_crash")
    full = (Withdraw("X"), crash)
    t.ends("failed", "Ps", "full", "crashed:P", "lost", *full, cause="prefill_crash")


def _posts(leg: str, of: int) -> Instructions:
    return tuple(StartTransfer(piece, of, leg) for piece in range(of))  # type: ignore[arg-type]


def _put(t: Table, v: Variant, o: Options) -> None:
    """PutStart, the write, PutEnd; then the router may show the request to D."""
    puts = (*_posts("put", o.handles), *timer("put", v.timers.transfer_s, "P"))
    handles = o.handles
    reclaim: Instructions = ()
    if "reclaims" in v.traits:
        reclaim = timer("discard", v.timers.discard_s, "X")
        t.on("X", "writing", "timer:discard", "free", Free("X", "discarded"))
        t.ignore("X", "empty complete free zombie", "timer:discard")

    def granted(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[PS] = "storing"
        machine.states[X] = "writing"
        machine.flying = handles
        return puts + reclaim

    def over(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.flying = 0 if event.key == "quiesced:put" else machine.flying - 1
        if event.key != "landed:put":
            machine.mark = machine.mark or "put_failed"
        return NO_INSTRUCTIONS if machine.flying else _put_end(machine)

    def late(machine: Machine, event: Event, at_s: float) -> Instructions:
        return (StopTransfer("put"),)

    def crash(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[PS] = "lost"
        machine.flying = 0
        return (Free("Ps", "crash"), *fail(machine, "prefill_crash"))

    t.on("Ps", "full", "xgranted", run=granted)
    t.on("Ps", "storing", "landed:put failed:quiesced:put quiesced:put", run=over)
    t.ignore("Ps", "storing", "failed:live:put")
    t.ignore("Ps", "free", "quiesced:put")
    t.on("Ps", "storing", "crashed:P", run=crash)
    if v.timers.transfer_s is not None:
        t.on("Ps", "storing", "timer:put", run=late)
        t.ignore("Ps", "free", "timer:put")


def _put_end(machine: Machine) -> Instructions:
    whole = not machine.mark and machine.states[X] == "writing"
    machine.states[PS] = "free"
    first: Instructions = (Free("Ps", "stored" if whole else "put_failed"),)
    if machine.states[X] == "writing":
        machine.states[X] = "complete" if whole else "free"
        first += () if whole else (Free("X", "put_failed"),)
    machine.mark = ""
    return first if machine.outcome is not None else (*first, Dispatch())


def _object(t: Table, v: Variant) -> None:
    """Enter the ends of the object: its writer or node dies, the pool wants the room."""
    release = timer("release", v.timers.release_s, "X")
    t.on("X", "writing", "crashed:P", "zombie", *release)
    t.ignore("X", "empty complete free zombie", "crashed:P")
    if v.timers.release_s is not None:
        t.on("X", "zombie", "timer:release", "free", Free("X", "zombie"))
        t.ignore("X", "free", "timer:release")
    t.on("X", "writing complete zombie", "crashed:X", "lost", Free("X", "crash"))
    t.ignore("X", "empty free", "crashed:X")
    evicted: Instructions = (Free("X", "evicted"),)
    pinned, trusting = "pinned" in v.traits, "no_check" in v.traits

    def evict(machine: Machine, event: Event, at_s: float) -> Instructions:
        if at_s < machine.deadline_s or (pinned and machine.getting):
            return NO_INSTRUCTIONS
        machine.states[X] = "free"
        if not (machine.getting and trusting):
            return evicted
        machine.corrupt = True
        return (*evicted, Corrupt("evicted_under_read"))

    t.on("X", "complete", "evicted", run=evict)
    t.ignore("X", "empty writing zombie free", "evicted")


def _lookup(t: Table, v: Variant, o: Options) -> None:
    """D looks the object up, which protects it for a while, and queues for blocks."""
    read_lease_s = v.timers.read_lease_s or 0.0
    reserve: Instructions = (Reserve("D"),)

    def seen(machine: Machine, event: Event, at_s: float) -> Instructions:
        if machine.states[X] == "complete":
            machine.states[DS] = "queued"
            machine.deadline_s = max(machine.deadline_s, at_s + read_lease_s)
            return reserve
        if o.on_error == "fail":
            machine.states[DS] = "free"
            return fail(machine, "pool_miss")
        machine.states[DS] = "missed"
        return reserve

    later = (
        "queued missed loading quarantine converting scrapping decoding preempted retracted free"
    )
    t.on("Ds", "absent", "consumer_seen", run=seen)
    t.on("Ds", "gone", "consumer_seen", "free")
    t.ignore("Ds", later, "consumer_seen")
    t.on("Ds", "missed", "credit_granted", "decoding", *RECOMPUTE)
    t.ends("aborted", "Ds", "absent", "cancelled:D", "gone", cause="client")
    t.ends("aborted", "Ds", "queued missed", "cancelled:D", "free", Withdraw("D"), cause="client")
    refuse = Withdraw("D")
    t.ends("failed", "Ds", "queued missed", "refused", "free", refuse, cause="refused")
    t.ignore("Ds", "scrapping free gone", "cancelled:D")
    crash_rows(t, "loading quarantine", "absent queued missed gone", quiet="getting")
    t.ignore("Ds", "free", "crashed:D")


def _load(t: Table, v: Variant, o: Options) -> None:
    """Enter the read, the check of the lease after it, and the miss path."""
    settle = settle_failure(o)
    gets = (*_posts("get", o.handles), *timer("transfer", v.timers.transfer_s, "D"))
    stale: Instructions = (*gets, Corrupt("stale_read"))
    read_lease_s = v.timers.read_lease_s or 0.0
    by_address = "by_address" in v.traits

    def granted(machine: Machine, event: Event, at_s: float) -> Instructions:
        if machine.states[X] != "complete":
            if not by_address or machine.states[X] != "free":
                return settle(machine, "evicted")
            machine.states[DS] = "loading"
            machine.getting, machine.count, machine.corrupt = o.handles, 0, True
            return stale
        machine.states[DS] = "loading"
        machine.getting = o.handles
        machine.count = 0
        return gets

    def reload(machine: Machine, event: Event, at_s: float) -> Instructions:
        if machine.states[X] != "complete":
            machine.states[DS] = "decoding"
            return RECOMPUTE
        machine.deadline_s = max(machine.deadline_s, at_s + read_lease_s)
        return granted(machine, event, at_s)

    t.on("Ds", "queued", "credit_granted", run=granted)
    again = reload if o.on_preempt == "reload" else None
    decode_rows(t, o, quiet="getting", resume=again, settles="settles" in v.traits)
    _landings(t, v, o)

    settles = "settles" in v.traits

    def cancel(machine: Machine, event: Event, at_s: float) -> Instructions:
        first = QUARANTINE if machine.states[DS] == "loading" else NO_INSTRUCTIONS
        machine.states[DS] = "quarantine"
        if settles:
            machine.mark = "client"
            return first
        return (*first, *abort(machine))

    t.on("Ds", "loading quarantine", "cancelled:D", run=cancel)
    if v.timers.transfer_s is not None:
        t.on("Ds", "loading quarantine", "timer:transfer", run=_late)
        t.ignore("Ds", _AFTER, "timer:transfer")


def _late(machine: Machine, event: Event, at_s: float) -> Instructions:
    machine.mark = machine.mark or "transfer_timeout"
    machine.states[DS] = "quarantine"
    return (*QUARANTINE, StopTransfer("get"))


def _landings(t: Table, v: Variant, o: Options) -> None:
    settle = settle_failure(o)
    to, then = admit_to(o)
    quiet = (StopTimer("transfer"),) if v.timers.transfer_s is not None else ()
    ready: Instructions = (*quiet, *then)
    checks, handles = "no_check" not in v.traits, o.handles

    def land(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.getting -= 1
        machine.count += 1
        if machine.count < handles:
            return NO_INSTRUCTIONS
        held = at_s <= machine.deadline_s and machine.states[X] == "complete"
        if checks and not held:
            return quiet + settle(machine, "read_lease_expired")
        machine.states[DS] = to
        return ready

    def failed(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.mark = machine.mark or "transfer_failed"
        machine.states[DS] = "quarantine"
        if event.key == "failed:quiesced:get":
            return over(machine, event, at_s)
        return QUARANTINE

    def over(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.getting = 0 if event.key == "quiesced:get" else machine.getting - 1
        if machine.getting:
            return NO_INSTRUCTIONS
        cause, machine.mark = machine.mark or "aborted", ""
        return quiet + settle(machine, cause)

    _enter(t, land, failed, over)


def _enter(t: Table, land: Run, failed: Run, over: Run) -> None:
    t.on("Ds", "loading", "landed:get", run=land)
    t.on("Ds", "loading", "failed:quiesced:get failed:live:get", run=failed)
    t.on("Ds", "quarantine", "landed:get failed:quiesced:get quiesced:get", run=over)
    t.ignore("Ds", "quarantine", "failed:live:get")
    t.ignore("Ds", f"absent queued missed loading {_AFTER}", "quiesced:get")


_STORE = Timers(read_lease_s=10.0, discard_s=30.0, release_s=600.0)
_SAFE = ("I3", "I4", "I6", "I7", "I8", "I10", "I11", "I15")

protocol(
    Protocol(
        "pool_lease",
        "P puts into a pool; D reads under a lease and checks it",
        build,
        (
            Variant(
                "store",
                "read lease 10 s, checked after the read; a dead writer's space is back at 600 s",
                _FACTS,
                _STORE,
                frozenset(),
                (*_SAFE, "I5", "I16"),
                source="kvcache-ai/Mooncake 3b5a594, mooncake-store",
            ),
            Variant(
                "unchecked",
                "faulty: the reader does not check the lease after the read",
                _FACTS,
                Timers(read_lease_s=0.5, discard_s=30.0, release_s=600.0),
                frozenset({"no_check"}),
                (*_SAFE, "I5"),
                faulty="I16",
                source="the defect of kvcache-ai/Mooncake#4239",
            ),
            Variant(
                "slabs",
                "faulty: a lookup protects nothing, and the reader takes what is there",
                _FACTS,
                Timers(discard_s=30.0, release_s=600.0),
                frozenset({"no_check", "by_address"}),
                _SAFE,
                faulty="I5",
                source="DeepLink-org/DLSlime 6e440d2, cache service V1: no lease and no pin; a "
                "comment there says that delete and evict need slab leases",
            ),
            Variant(
                "reclaiming",
                "faulty: memory of an unfinished put goes to another, its writer unfenced",
                _FACTS,
                _STORE,
                frozenset({"reclaims"}),
                (*_SAFE, "I5"),
                faulty="I1",
                source="kvcache-ai/Mooncake 3b5a594: another put may pre-empt one after 30 s; the "
                "defect family of kvcache-ai/Mooncake#3030",
            ),
            Variant(
                "sound",
                "objects are pinned while read; puts and reads are bounded and drained",
                _FACTS,
                Timers(read_lease_s=10.0, discard_s=30.0, release_s=600.0, transfer_s=60.0),
                frozenset({"pinned", "fenced", "settles"}),
                PROTOCOL_INVARIANTS,
                source="hetsim",
            ),
        ),
    )
)
