"""Protocol D, RENDEZVOUS_CHUNK_PUSH: D reserves first, P pushes each chunk as it is computed.

Source: the disaggregation of SGLang 0.5 (its "early" mode, and ``prefill_complete``, in which D
reserves only after the prefill). States of (Ps, Ds): D0 ``bootstrapping/queued``; D1
``bootstrapping/published``; D2 ``waiting/published``; D3 ``prefilling/published`` and
``sending/published`` (writes in flight); D4 ``free/decoding``; D5 ``free/free``; D6
``stopping/aborting``.

Traits beside those of ``_push.py``: ``early`` D reserves before the prefill.
"""

from __future__ import annotations

from hetsim.ownership._await import consumer_rows
from hetsim.ownership._common import post_all, quiet, timer
from hetsim.ownership._machine import PS, Instructions, Machine, Table
from hetsim.ownership._push import (
    bootstrap_rows,
    crash_of_producer,
    halt,
    mark,
    producer_states,
    rendezvous_rows,
    settle_rows,
    stop_rows,
)
from hetsim.ownership._registry import Protocol, protocol
from hetsim.ownership._spec import PROTOCOL_INVARIANTS, Facts, Options, Timers, Variant
from hetsim.ownership._vocabulary import Dispatch, Event, Free, Send, StartPrefill

_EARLY = Facts(True, "chunk", "P", "landed")
_LATE = Facts(False, "request", "P", "landed")


def build(v: Variant, o: Options) -> Table:
    """Return the table of one variant."""
    t = Table({"Ps": "idle", "Ds": "absent"})
    early = "early" in v.traits
    before = "bootstrapping waiting" if early else "waiting"
    holding = "sending" if early else "held sending"
    sending = "prefilling sending" if early else "sending"
    producer_states(t, before, holding)
    (rendezvous_rows if early else _rendezvous_late)(t, v, o)
    settle_rows(t, v, sending, f"{before} prefilling held" if not early else before)
    stop_rows(t, v, before, holding, sending)
    crash_of_producer(t, v, f"{before} {holding}", f"{before} prefilling")
    consumer_rows(t, v, o)
    t.ignore_rest("Ps", "lost")
    t.ignore_rest("Ds", "lost")
    return t


def _rendezvous_late(t: Table, v: Variant, o: Options) -> None:
    """D reserves when the prefill is done, and P holds its blocks meanwhile."""
    t.on("Ps", "idle", "arrived", "waiting", StartPrefill())
    t.on("Ps", "waiting", "prefill_started", "prefilling")
    t.ignore("Ps", "prefilling", "produced")
    wait = timer("bootstrap", v.timers.bootstrap_s, "P")
    arm = timer("transfer", v.timers.transfer_s, "P")
    known = quiet("bootstrap", v.timers.bootstrap_s)
    t.on("Ps", "prefilling", "produced:last", "held", Dispatch(), *wait)

    def addressed(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[PS] = "sending"
        if machine.fenced:
            mark(machine, "fenced")
            return known + halt(machine, arm)
        return known + post_all(machine, o.handles) + arm

    t.on("Ps", "held", "notice:addresses", run=addressed)
    t.ignore("Ps", "sending stopping free", "notice:addresses")
    last = (Free("Ps", "bootstrap_timeout"), Send("failed", "D"))
    bootstrap_rows(t, v, "held", "sending stopping free", *last)


_SAFE = ("I3", "I4", "I6", "I7", "I8", "I15")
_SGLANG = "sgl-project/sglang 0.5.23, srt/disaggregation"
_DEFAULTS = Timers(bootstrap_s=300.0, waiting_s=300.0, health_s=10.0, drain_s=30.0)
_BOUNDED = Timers(
    bootstrap_s=300.0, beat_s=60.0, waiting_s=300.0, health_s=10.0, drain_s=30.0, transfer_s=60.0
)

protocol(
    Protocol(
        "rendezvous_chunk_push",
        "D reserves before the prefill; P pushes chunk by chunk",
        build,
        (
            Variant(
                "early",
                "SGLang's default: addresses first, chunks overlap the prefill",
                _EARLY,
                _DEFAULTS,
                frozenset({"early"}),
                _SAFE,
                source=_SGLANG,
            ),
            Variant(
                "prefill_complete",
                "SGLang's opt-in: D reserves after the prefill, P holds meanwhile",
                _LATE,
                _DEFAULTS,
                frozenset({"late_dispatch"}),
                _SAFE,
                source=_SGLANG,
            ),
            Variant(
                "release_before_drain",
                "faulty: an aborted request's blocks are reused while P still writes",
                _EARLY,
                _DEFAULTS,
                frozenset({"early", "no_drain"}),
                _SAFE,
                faulty="I1",
                source="the defect of sgl-project/sglang#24527",
            ),
            Variant(
                "no_timers",
                "faulty: a lost message is waited for without end",
                _EARLY,
                Timers(),
                frozenset({"early"}),
                ("I1", *_SAFE, "I5", "I10", "I11", "I16"),
                faulty="I2",
                source="the defects of vllm-project/vllm#35943 and ROCm/mori#655",
            ),
            Variant(
                "sound",
                "early, with every wait bounded and no release before the writes are over",
                _EARLY,
                _BOUNDED,
                frozenset({"early", "fenced", "renew", "settles", "told"}),
                PROTOCOL_INVARIANTS,
                source="hetsim",
            ),
            Variant(
                "sound_prefill_complete",
                "prefill_complete, bounded and drained in the same way",
                _LATE,
                _BOUNDED,
                frozenset({"late_dispatch", "fenced", "renew", "settles"}),
                PROTOCOL_INVARIANTS,
                source="hetsim",
            ),
        ),
    )
)
