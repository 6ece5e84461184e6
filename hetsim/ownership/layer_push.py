"""Protocol E, LAYERWISE_PUSH: D reserves first, P pushes each layer while the next one computes.

Source: vllm-ascend's layer-wise connector and vLLM's MoRIIO connector in write mode. States of
(Ps, Ds): E0 ``bootstrapping/published``; E1 ``waiting/published``; E2 ``prefilling/published``; E3
``sending`` or ``flushing/published`` (last layer); E4 ``free/published``; E5 ``free/decoding``.

Traits beside those of ``_push.py``: ``free_at_finish`` P frees its blocks when the request
finishes, whatever is still in the send queue.
"""

from __future__ import annotations

from hetsim.ownership._await import consumer_rows
from hetsim.ownership._machine import Table
from hetsim.ownership._push import (
    crash_of_producer,
    producer_states,
    rendezvous_rows,
    settle_rows,
    stop_rows,
    unheld_rows,
)
from hetsim.ownership._registry import Protocol, protocol
from hetsim.ownership._spec import PROTOCOL_INVARIANTS, Facts, Options, Timers, Variant

_FACTS = Facts(True, "layer", "P", "finish")
_DRAINED = Facts(True, "layer", "P", "landed")
_READ = Facts(True, "layer", "D", "landed")


def build(v: Variant, o: Options) -> Table:
    """Return the table of one variant."""
    t = Table({"Ps": "idle", "Ds": "absent"})
    flushing = "free_at_finish" in v.traits
    producer_states(t, "bootstrapping waiting", "" if flushing else "sending")
    if flushing:
        t.state("Ps", "flushing")
        unheld_rows(t, "flushing", told=True)
    rendezvous_rows(t, v, o)
    last = "flushing" if flushing else "sending"
    sending = "prefilling" if flushing else "prefilling sending"
    settle_rows(t, v, sending, "bootstrapping waiting")
    stop_rows(t, v, "bootstrapping waiting", "" if flushing else "sending", sending)
    states = f"bootstrapping waiting {last}"
    crash_of_producer(t, v, states, "bootstrapping waiting prefilling")
    consumer_rows(t, v, o)
    t.ignore_rest("Ps", "lost")
    t.ignore_rest("Ds", "lost")
    return t


_SAFE = ("I3", "I4", "I6", "I7", "I8", "I11", "I15")

protocol(
    Protocol(
        "layerwise_push",
        "D reserves before the prefill; P pushes layer by layer",
        build,
        (
            Variant(
                "ascend",
                "no timer on D; P frees at finish, the last layers may still be queued",
                _FACTS,
                Timers(),
                frozenset({"free_at_finish"}),
                (*_SAFE, "I5", "I10"),
                source="vllm-project/vllm-ascend 182b75e, mooncake_layerwise_connector.py",
            ),
            Variant(
                "moriio",
                "MoRIIO write mode: transfer 30 s, receive 120 s, then D frees at once",
                _DRAINED,
                Timers(transfer_s=30.0, waiting_s=120.0, bootstrap_s=60.0),
                frozenset({"timeout_frees"}),
                ("I3", "I4", "I6", "I7", "I8", "I10", "I15"),
                source="vllm-project/vllm 0.33.0, kv_connector/v1/moriio: 30, 60 and 120 s",
            ),
            Variant(
                "layer_pull",
                "P announces each layer, D reads it and answers; P waits 10 s",
                _READ,
                Timers(transfer_s=10.0),
                frozenset(),
                ("I1", *_SAFE, "I5", "I10", "I16"),
                source="vllm-project/vllm-ascend 182b75e, sfa_pd_rd2h",
            ),
            Variant(
                "sound",
                "P frees when the last layer has landed; every wait bounded and drained",
                _DRAINED,
                Timers(
                    bootstrap_s=300.0,
                    beat_s=60.0,
                    waiting_s=300.0,
                    health_s=10.0,
                    drain_s=30.0,
                    transfer_s=60.0,
                ),
                frozenset({"fenced", "renew", "settles", "told"}),
                PROTOCOL_INVARIANTS,
                source="hetsim",
            ),
        ),
    )
)
