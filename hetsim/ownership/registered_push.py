"""Protocol B, REGISTERED_PUSH: D registers its blocks with P, which writes once it has finished.

Source: vLLM's NIXL connector in push mode (0.33) and its failure inventory (vllm-project/vllm
#48633). States of (Ps, Ds): B0 ``prefilling/published``; B1 ``held/published`` (finished, not yet
registered) or at once B2 ``sending/published``; B3 ``free/published``; B4 ``free/decoding``;
``overdue``: the lease ended under the write.

Traits beside those of ``_push.py``: ``lease_over_write`` the lease goes on while P writes.
"""

from __future__ import annotations

from hetsim.ownership._await import consumer_rows
from hetsim.ownership._common import NO_INSTRUCTIONS, post_all, quiet, timer
from hetsim.ownership._machine import PS, Instructions, Machine, Table
from hetsim.ownership._push import (
    crash_of_producer,
    halt,
    mark,
    producer_states,
    settle_rows,
    start_at_once,
    stop_rows,
    unheld_rows,
)
from hetsim.ownership._registry import Protocol, protocol
from hetsim.ownership._spec import PROTOCOL_INVARIANTS, Facts, Options, Timers, Variant
from hetsim.ownership._vocabulary import Corrupt, Event, Free, Send

_FACTS = Facts(False, "request", "P", "landed")


def build(v: Variant, o: Options) -> Table:
    """Return the table of one variant."""
    t = Table({"Ps": "idle", "Ds": "absent"})
    producer_states(t, "waiting", "held sending")
    overdue = " overdue" if "lease_over_write" in v.traits else ""
    if overdue:
        t.state("Ps", "overdue")
        unheld_rows(t, "overdue", told="silent" not in v.traits)
    start_at_once(t)
    _match(t, v, o, overdue)
    _lease(t, v, overdue)
    settle_rows(t, v, "sending", "waiting prefilling held")
    stop_rows(t, v, "waiting", "held sending", "sending")
    crash_of_producer(t, v, f"waiting held sending{overdue}", "waiting prefilling")
    consumer_rows(t, v, o)
    t.ignore_rest("Ps", "lost")
    t.ignore_rest("Ds", "lost")
    return t


def _match(t: Table, v: Variant, o: Options, overdue: str) -> None:
    """Finished and registered, in either order, is when P writes."""
    arm = timer("transfer", v.timers.transfer_s, "P")
    lease = timer("lease", v.timers.lease_s, "P", "wall" if "fenced" in v.traits else "step")
    expire = timer("registration", v.timers.registration_s, "P")
    settled = quiet("registration", v.timers.registration_s)

    def write(machine: Machine) -> Instructions:
        machine.states[PS] = "sending"
        if machine.fenced:
            mark(machine, "fenced")
            return halt(machine, arm)
        return post_all(machine, o.handles) + arm

    def registered(machine: Machine, event: Event, at_s: float) -> Instructions:
        if machine.addressed:
            return NO_INSTRUCTIONS
        machine.addressed = True
        return expire

    def finished(machine: Machine, event: Event, at_s: float) -> Instructions:
        if machine.addressed:
            return settled + lease + write(machine)
        machine.states[PS] = "held"
        return lease

    def forgotten(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.addressed = False
        return NO_INSTRUCTIONS

    t.on("Ps", "waiting prefilling", "notice:addresses", run=registered)
    t.on("Ps", "prefilling", "produced:last", run=finished)
    t.on("Ps", "held", "notice:addresses", run=lambda machine, event, at_s: write(machine))
    t.ignore("Ps", f"sending stopping free{overdue}", "notice:addresses")
    if v.timers.registration_s is not None:
        t.on("Ps", "waiting prefilling", "timer:registration", run=forgotten)
        t.ignore("Ps", f"held sending stopping free{overdue}", "timer:registration")


def _lease(t: Table, v: Variant, overdue: str) -> None:
    if v.timers.lease_s is None:
        return
    expired = Free("Ps", "lease_expired")
    told = (Send("failed", "D"),) if "fenced" in v.traits else ()

    def overrun(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[PS] = "overdue"
        machine.corrupt = True
        return (expired, Corrupt("lease_expired_under_write"))

    t.on("Ps", "held", "timer:lease", "free", expired, *told)
    if overdue:
        t.on("Ps", "sending", "timer:lease", run=overrun)
    else:
        t.ignore("Ps", "sending", "timer:lease")
    t.ignore("Ps", f"stopping free{overdue}", "timer:lease")


protocol(
    Protocol(
        "registered_push",
        "D registers its blocks; P writes when the prefill is done",
        build,
        (
            Variant(
                "push",
                "30 s lease that also runs during the write; aborts are not told to P (vLLM NIXL)",
                _FACTS,
                Timers(lease_s=30.0, registration_s=480.0),
                frozenset({"lease_over_write", "silent"}),
                ("I3", "I4", "I6", "I7", "I8", "I10", "I11"),
                source="vllm-project/vllm 0.33.0, kv_connector/v1/nixl, push mode; vllm#48633",
            ),
            Variant(
                "sound",
                "the lease stops for the write, every wait is bounded, aborts are drained",
                _FACTS,
                Timers(
                    lease_s=30.0,
                    registration_s=480.0,
                    waiting_s=600.0,
                    health_s=10.0,
                    drain_s=30.0,
                    transfer_s=60.0,
                ),
                frozenset({"fenced", "settles", "told"}),
                PROTOCOL_INVARIANTS,
                source="hetsim",
            ),
        ),
    )
)
