"""Protocol C, CONSUMER_TRIGGERED_PUSH: D asks with its addresses, P writes and replies.

Source: vLLM's Mooncake connector (0.33) and TensorRT-LLM's context and generation servers. States
of (Ps, Ds): C0 ``prefilling/absent``; C1 ``held/absent``; C2 ``held/published``; C3
``sending/published`` (the hold timer does not run); C4 ``free/decoding``; C4e ``kept/free``;
IN_DOUBT ``*/aborting`` (TensorRT-LLM: only "never submitted" or "done" ends it).

Traits beside those of ``_push.py``: ``keep`` after an error the source stays to the hold timer.
"""

from __future__ import annotations

from hetsim.ownership._await import consumer_rows
from hetsim.ownership._common import post_all, quiet, timer
from hetsim.ownership._machine import PS, Instructions, Machine, Table
from hetsim.ownership._push import (
    crash_of_producer,
    halt,
    mark,
    producer_states,
    settle_rows,
    stop_rows,
)
from hetsim.ownership._registry import Protocol, protocol
from hetsim.ownership._spec import PROTOCOL_INVARIANTS, Facts, Options, Timers, Variant
from hetsim.ownership._vocabulary import Dispatch, Event, Free, Send, StartPrefill

_FACTS = Facts(False, "request", "P", "landed")


def build(v: Variant, o: Options) -> Table:
    """Return the table of one variant."""
    t = Table({"Ps": "idle", "Ds": "absent"})
    kept = " kept" if "keep" in v.traits else ""
    producer_states(t, "waiting", f"held sending{kept}")
    _hold(t, v, o, kept)
    settle_rows(t, v, "sending", f"waiting prefilling held{kept}")
    stop_rows(t, v, "waiting", "held sending", "sending")
    if kept:
        t.ignore("Ps", "kept", "cancelled:P")
        t.on("Ps", "kept", "notice:abort", None, Send("ack", "D"))
        if v.timers.transfer_s is not None:
            t.ignore("Ps", "kept", "timer:transfer")
    crash_of_producer(t, v, f"waiting held sending{kept}", "waiting prefilling")
    consumer_rows(t, v, o)
    t.ignore_rest("Ps", "lost")
    t.ignore_rest("Ds", "lost")
    return t


def _hold(t: Table, v: Variant, o: Options, kept: str) -> None:
    """P holds its blocks until D asks, or the hold timer ends."""
    hold = timer("lease", v.timers.lease_s, "P")
    still = quiet("lease", v.timers.lease_s)
    arm = timer("transfer", v.timers.transfer_s, "P")
    t.on("Ps", "idle", "arrived", "waiting", StartPrefill())
    t.on("Ps", "waiting", "prefill_started", "prefilling")
    t.ignore("Ps", "prefilling", "produced")
    t.on("Ps", "prefilling", "produced:last", "held", Dispatch(), *hold)

    def asked(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[PS] = "sending"
        if machine.fenced:
            mark(machine, "fenced")
            return still + halt(machine, arm)
        return still + post_all(machine, o.handles) + arm

    t.on("Ps", "held", "notice:addresses", run=asked)
    t.ignore("Ps", f"sending stopping free{kept}", "notice:addresses")
    if v.timers.lease_s is not None:
        t.on("Ps", "held", "timer:lease", "free", Free("Ps", "hold_expired"), Send("failed", "D"))
        if kept:
            t.on("Ps", "kept", "timer:lease", "free", Free("Ps", "hold_expired"))
        t.ignore("Ps", "sending stopping free", "timer:lease")


_SAFE = ("I3", "I4", "I6", "I7", "I8", "I11", "I15")

protocol(
    Protocol(
        "consumer_triggered_push",
        "D asks with its addresses; P writes and replies",
        build,
        (
            Variant(
                "mooncake",
                "hold 480 s, receive 540 s; blocks of a late receive are freed at once",
                _FACTS,
                Timers(lease_s=480.0, waiting_s=540.0),
                frozenset({"late_dispatch", "keep", "timeout_frees"}),
                (*_SAFE, "I5", "I10"),
                source="vllm-project/vllm 0.33.0, kv_connector/v1/mooncake",
            ),
            Variant(
                "in_doubt",
                "60 s both ways; a late receive is in doubt and is not retired (TensorRT-LLM)",
                _FACTS,
                Timers(lease_s=60.0, waiting_s=60.0),
                frozenset({"late_dispatch"}),
                ("I1", *_SAFE, "I5", "I16"),
                source="NVIDIA/TensorRT-LLM, disaggregation lifecycle notes; 60 s since #12249",
            ),
            Variant(
                "early_receive_timeout",
                "faulty: D's timer is shorter than P's, and frees blocks that P still writes",
                _FACTS,
                Timers(lease_s=480.0, waiting_s=2.0),
                frozenset({"late_dispatch", "keep", "timeout_frees"}),
                _SAFE,
                faulty="I10",
                source="the defect of NVIDIA/TensorRT-LLM#14565",
            ),
            Variant(
                "sound",
                "in doubt until proven quiet, by a fence if need be; every wait bounded",
                _FACTS,
                Timers(lease_s=60.0, waiting_s=90.0, health_s=10.0, drain_s=30.0, transfer_s=60.0),
                frozenset({"late_dispatch", "fenced", "settles"}),
                PROTOCOL_INVARIANTS,
                source="hetsim",
            ),
        ),
    )
)
