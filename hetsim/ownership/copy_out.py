"""Protocol G, COPY_OUT: P copies its blocks into a transit store X and frees them at once.

Source: tpu-inference's connector (copy held 180 s), the historic P2pNccl connector, LMCache's PD
buffer (pins of 300 s), the QAIC shared-memory hand-off. P's blocks never wait for D; the price is a
copy and the room for X. States of (Ps, X, Ds): ``copying/reserved`` while the copy runs,
``free/leased`` until D has read it.

The lease, the read and their traits are those of ``_pull.py``, with X in the place of Ps. Trait
``early``: D takes its blocks when the request arrives, and holds them while P waits for room.
"""

from __future__ import annotations

from hetsim.ownership._common import P_LINK, P_OWNER, RESEND_S
from hetsim.ownership._machine import PS, Instructions, Machine, Table, X, abort
from hetsim.ownership._pull import lease_rows, leased, pull_rows
from hetsim.ownership._registry import Protocol, protocol
from hetsim.ownership._spec import PROTOCOL_INVARIANTS, Facts, Options, Timers, Variant
from hetsim.ownership._vocabulary import (
    Convert,
    Dispatch,
    Event,
    Free,
    Reserve,
    Send,
    StartPrefill,
    StopPrefill,
    Withdraw,
)

_FACTS = Facts(False, "request", "D", "copy", ("Ps", "X", "Ds"), ("X", "Ds"))


def build(v: Variant, o: Options) -> Table:
    """Return the table of one variant."""
    t = Table({"Ps": "idle", "X": "empty", "Ds": "absent"})
    t.state("Ps", "idle waiting")
    t.state("Ps", "prefilling copying scrapping", owner=P_OWNER, worker="P.compute")
    t.state("Ps", "full", owner=P_OWNER)
    t.state("Ps", "free lost")
    t.state("X", "empty")
    t.state("X", "reserved", owner=P_LINK, worker="P.compute")
    lease_rows(t, v, "X")
    _producer(t, v)
    _end_of_producer(t)
    pull_rows(t, v, o, "X")
    for part in ("Ps", "X", "Ds"):
        t.ignore_rest(part, "lost")
    return t


def _producer(t: Table, v: Variant) -> None:
    early = "early" in v.traits
    first = (StartPrefill(), Dispatch()) if early else (StartPrefill(),)
    t.on("Ps", "idle", "arrived", "waiting", *first)
    t.on("Ps", "waiting", "prefill_started", "prefilling")
    t.ignore("Ps", "prefilling", "produced")
    t.on("Ps", "prefilling", "produced:last", "full", Reserve("X"))
    publish = leased(v, "X", Free("Ps", "copied"), Send("ready", "D") if early else Dispatch())
    if early:
        t.ignore("X", "empty reserved", "notice:done")
    scrap: Instructions = (Free("Ps", "aborted"), Free("X", "aborted"))

    def granted(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[PS] = "copying"
        machine.states[X] = "reserved"
        return (Convert("P"),)

    def copied(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[PS] = "free"
        return publish(machine, event, at_s)

    def scrapped(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[PS] = machine.states[X] = "free"
        return scrap

    t.on("Ps", "full", "xgranted", run=granted)
    t.on("Ps", "copying", "converted", run=copied)
    t.on("Ps", "scrapping", "converted", run=scrapped)


def _end_of_producer(t: Table) -> None:
    """P or its client gives up before the copy is out."""
    t.ends("aborted", "Ps", "waiting", "cancelled:P", "free", StopPrefill(), cause="client")
    stop = (StopPrefill(), Free("Ps", "aborted"))
    t.ends("aborted", "Ps", "prefilling", "cancelled:P", "free", *stop, cause="client")
    leave = (Withdraw("X"), Free("Ps", "aborted"))
    t.ends("aborted", "Ps", "full", "cancelled:P", "free", *leave, cause="client")

    def scrap(machine: Machine, event: Event, at_s: float) -> Instructions:
        machine.states[PS] = "scrapping"
        return abort(machine)

    t.on("Ps", "copying", "cancelled:P", run=scrap)
    t.ignore("Ps", "scrapping free", "cancelled:P")
    t.ends("failed", "Ps", "waiting", "crashed:P", "lost", cause="prefill_crash")
    crash = Free("Ps", "crash")
    t.ends("failed", "Ps", "prefilling", "crashed:P", "lost", crash, cause="prefill_crash")
    full = (Withdraw("X"), crash)
    t.ends("failed", "Ps", "full", "crashed:P", "lost", *full, cause="prefill_crash")
    t.ends("failed", "Ps", "copying scrapping", "crashed:P", "lost", crash, cause="prefill_crash")
    t.on("X", "reserved", "crashed:P", "lost", Free("X", "crash"))
    t.ignore("X", "empty free", "crashed:P")
    t.ignore("Ps", "free", "crashed:P")


_SAFE = ("I3", "I4", "I6", "I7", "I8", "I10", "I11")

protocol(
    Protocol(
        "copy_out",
        "P copies into a transit store and frees at once; D reads the copy",
        build,
        (
            Variant(
                "tpu",
                "the copy is held 180 s for D's pull (tpu-inference)",
                _FACTS,
                Timers(lease_s=180.0),
                frozenset({"drain"}),
                _SAFE,
                source="vllm-project/tpu-inference b8692ff, tpu_connector.py",
            ),
            Variant(
                "buffer",
                "LMCache's PD buffer: pinned 300 s",
                _FACTS,
                Timers(lease_s=300.0),
                frozenset({"drain"}),
                _SAFE,
                source="LMCache/LMCache 0.5.6: pin 300 s, swept every 30 s",
            ),
            Variant(
                "shared_memory",
                "QAIC: slots in shared memory, five tries of 50 ms to read one",
                _FACTS,
                Timers(transfer_s=0.25),
                frozenset({"drain"}),
                ("I1", *_SAFE, "I5", "I15", "I16"),
                source="qualcomm/vllm-qaic dc7351f, SHM connector: GET 5 x 50 ms",
            ),
            Variant(
                "receiver_first",
                "faulty: D takes its blocks at arrival, P takes room when it can; nobody gives up",
                _FACTS,
                Timers(),
                frozenset({"drain", "generation", "early"}),
                ("I1", *_SAFE, "I5", "I15", "I16"),
                faulty="I2",
                source="LMCache/LMCache 0.5.6: the wait for a buffer has no bound "
                "(pd_allocation_timeout = inf); the order is that of sgl-project/sglang#31473",
            ),
            Variant(
                "sound",
                "the copy's lease is renewed, fenced and drained; reads checked and bounded; the "
                "release acknowledged",
                _FACTS,
                Timers(lease_s=30.0, beat_s=5.0, extend_s=20.0, transfer_s=60.0, resend_s=RESEND_S),
                frozenset({"renew", "fenced", "generation", "tell", "drain", "settles"}),
                PROTOCOL_INVARIANTS,
                source="hetsim",
            ),
        ),
    )
)
