"""Protocol A, PULL_LEASE: D reads from P after the prefill; P holds its blocks under a lease.

Source: the life cycle of vLLM's NIXL connector in pull mode (0.33), and its relatives with a fixed
timer (vllm-ascend pull) or none (LMDeploy). States of (Ps, Ds): A0 ``prefilling/absent``; A1
``leased/absent``; A2 ``leased/queued``; A3 ``leased/reserved``; A4 ``leased/reading``; A5
``leased/converting``; A6 ``free/decoding``; A7 ``*/quarantine``.

Traits: ``renew`` heartbeats move the deadline; ``fenced`` an expired lease stops the transfers and
frees only when they are quiet, and timers do not ride on step loops; ``generation`` a read of
blocks that P gave up is refused; ``tell`` D tells P of a failed read; ``drain`` D waits for every
handle before it frees or reuses its blocks; ``inband`` the release rides on the completion of the
read (as NIXL's notification does) and crosses wherever the data did; without it, it is a message
of its own, which is the worse case; ``settles`` an abort ends the
request only when its blocks on D are quiet and given back, and P lets go of KV that nobody reads
when its client is gone.
"""

from __future__ import annotations

from hetsim.ownership._common import P_OWNER, RESEND_S
from hetsim.ownership._machine import Table
from hetsim.ownership._pull import lease_rows, leased, pull_rows
from hetsim.ownership._registry import Protocol, protocol
from hetsim.ownership._spec import PROTOCOL_INVARIANTS, Facts, Options, Timers, Variant
from hetsim.ownership._vocabulary import Dispatch, Free, StartPrefill, StopPrefill

_FACTS = Facts(False, "request", "D", "notice")


def build(v: Variant, o: Options) -> Table:
    """Return the table of one variant."""
    t = Table({"Ps": "idle", "Ds": "absent"})
    lease_rows(t, v, "Ps")
    _producer(t, v)
    pull_rows(t, v, o, "Ps")
    t.ignore_rest("Ps", "lost")
    t.ignore_rest("Ds", "lost")
    return t


def _producer(t: Table, v: Variant) -> None:
    t.state("Ps", "idle waiting")
    t.state("Ps", "prefilling", owner=P_OWNER, worker="P.compute")
    t.state("Ps", "leased free lost")
    t.on("Ps", "idle", "arrived", "waiting", StartPrefill())
    t.on("Ps", "waiting", "prefill_started", "prefilling")
    t.ignore("Ps", "prefilling", "produced")
    t.on("Ps", "prefilling", "produced:last", run=leased(v, "Ps", Dispatch()))
    t.ends("aborted", "Ps", "waiting", "cancelled:P", "free", StopPrefill(), cause="client")
    stop = (StopPrefill(), Free("Ps", "aborted"))
    t.ends("aborted", "Ps", "prefilling", "cancelled:P", "free", *stop, cause="client")
    if "settles" not in v.traits:
        held = "leased revoking free" if "fenced" in v.traits else "leased free"
        t.ignore("Ps", held, "cancelled:P")
    t.ends("failed", "Ps", "waiting", "crashed:P", "lost", cause="prefill_crash")
    crash = Free("Ps", "crash")
    t.ends("failed", "Ps", "prefilling", "crashed:P", "lost", crash, cause="prefill_crash")
    t.ignore("Ps", "free", "crashed:P")


_SAFE = ("I3", "I4", "I6", "I7", "I8", "I10", "I11")
_VLLM = "vllm-project/vllm 0.33.0, kv_connector/v1/nixl"

protocol(
    Protocol(
        "pull_lease",
        "D reads after the prefill; P's blocks are leased",
        build,
        (
            Variant(
                "lease",
                "30 s lease from the end of the prefill, renewed by D's heartbeats (vLLM NIXL)",
                _FACTS,
                Timers(lease_s=30.0, beat_s=5.0, extend_s=20.0),
                frozenset({"renew", "drain"}),
                _SAFE,
                source=_VLLM,
            ),
            Variant(
                "legacy",
                "fixed timer, no heartbeats (vLLM NIXL before leases: 480 s, earlier 120 s)",
                _FACTS,
                Timers(lease_s=480.0),
                frozenset({"drain"}),
                _SAFE,
                source="vllm-project/vllm, VLLM_NIXL_ABORT_REQUEST_TIMEOUT",
            ),
            Variant(
                "fixed",
                "fixed 480 s timer; the engine bounds a read by 33 s (vllm-ascend pull)",
                _FACTS,
                Timers(lease_s=480.0, transfer_s=33.06),
                frozenset({"drain", "tell"}),
                (*_SAFE, "I2"),
                source="vllm-project/vllm-ascend 182b75e, mooncake_connector.py",
            ),
            Variant(
                "no_timer",
                "no timer at all: a lost release leaks for ever (LMDeploy)",
                _FACTS,
                Timers(),
                frozenset({"drain"}),
                ("I1", *_SAFE, "I5", "I15", "I16"),
                faulty="I2",
                source="InternLM/lmdeploy 1263d5c, pytorch/disagg",
            ),
            Variant(
                "free_on_first_error",
                "faulty: the first failed handle frees D's blocks while its siblings still write",
                _FACTS,
                Timers(lease_s=30.0, beat_s=5.0, extend_s=20.0),
                frozenset({"renew"}),
                ("I3", "I4", "I6", "I7", "I10", "I11"),
                faulty="I1",
                source="the defect of vllm-project/vllm#56104",
            ),
            Variant(
                "short_lease",
                "faulty: a lease shorter than the read, never renewed",
                _FACTS,
                Timers(lease_s=0.5),
                frozenset({"drain"}),
                _SAFE,
                faulty="I1",
                source="the defect of vllm-project/vllm#25897: too short a fixed timer corrupts",
            ),
            Variant(
                "sound",
                "lease fenced and drained before the free; reads checked and bounded; release "
                "acknowledged",
                _FACTS,
                Timers(lease_s=30.0, beat_s=5.0, extend_s=20.0, transfer_s=60.0, resend_s=RESEND_S),
                frozenset({"renew", "fenced", "generation", "tell", "drain", "inband", "settles"}),
                PROTOCOL_INVARIANTS,
                source="hetsim; quiescence rule of TensorRT-LLM's disaggregation lifecycle; "
                "acknowledged release as in vllm-ascend's DONE and ACK",
            ),
        ),
    )
)
