"""Every kind of fault: its class, what it strikes, and the fields that mean something for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["CATALOGUE", "Kind", "fields_of"]

Strikes = Literal["instance", "notice", "transfer", "request", "admission", "router"]

TRIGGERS = ("at", "when", "nth", "per_hour")
THINGS = ("probability", "count", "duration")
"""Fields of faults that hit one message, transfer or request after the other."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    name: str
    group: str
    """Its class: crash, network, control, timing, client, memory, representation, admission."""
    strikes: Strikes
    title: str
    takes: tuple[str, ...] = ()
    """Fields that mean something for this kind, beside those that say when."""
    needs: tuple[str, ...] = ()
    """Of these, those that must be stated."""
    side: Literal["P", "D", ""] = ""
    """The stage whose pool is struck where none is stated."""
    apart: bool = True
    """It takes two pools: one pool hands nothing over."""

    @property
    def is_thing(self) -> bool:
        """Whether it hits single messages, transfers or requests."""
        return self.strikes in ("notice", "transfer", "request", "admission")


_KINDS = (
    Kind("prefill_crash", "crash", "instance", "a prefill instance dies",
         ("instance", "pool", "restart_after"), side="P", apart=False),
    Kind("decode_crash", "crash", "instance", "a decode instance dies",
         ("instance", "pool", "restart_after"), side="D", apart=False),
    Kind("pool_crash", "crash", "router", "the pool between P and D loses all it holds"),
    Kind("router_crash", "crash", "router", "the router dies: every open request loses its caller",
         ("duration",), ("duration",), apart=False),
    Kind("link_slow", "network", "instance", "the port of an instance keeps part of its rate",
         ("instance", "pool", "factor", "duration"), ("factor",), side="P"),
    Kind("link_flap", "network", "instance", "the port of an instance goes down for a while",
         ("instance", "pool", "duration", "times", "period"), ("duration",), side="P"),
    Kind("rail_down", "network", "instance", "one of the rails of an instance fails",
         ("instance", "pool", "duration", "rails"), side="P"),
    Kind("transfer_fail", "network", "transfer", "a transfer ends with an error",
         ("live", "settle")),
    Kind("transfer_hang", "network", "transfer", "a transfer never ends, and no error is seen"),
    Kind("partial_write", "network", "transfer", "a transfer reports success with bytes missing"),
    Kind("partition", "network", "instance", "an instance and its peers do not reach each other",
         ("instance", "pool", "duration", "plane"), ("duration",), side="D"),
    Kind("notice_lost", "control", "notice", "a control message is lost", ("notice",)),
    Kind("notice_repeated", "control", "notice", "a control message arrives twice",
         ("notice", "delay")),
    Kind("notice_late", "control", "notice", "a control message is late, and overtaken",
         ("notice", "delay"), ("delay",)),
    Kind("step_stall", "control", "instance", "the step loop of an instance stands still",
         ("instance", "pool", "duration"), ("duration",), side="D", apart=False),
    Kind("connect_slow", "control", "transfer", "a connection is cold: the transfer starts late",
         ("delay",), ("delay",)),
    Kind("layout_miss", "control", "transfer", "the layout is not known: one more round trip"),
    Kind("timer_scale", "timing", "instance", "a timer is too short, too long or started early",
         ("timer", "factor", "duration"), ("timer", "factor")),
    Kind("clock_skew", "timing", "instance", "the clock of a side is ahead: deadlines come early",
         ("pool", "delay", "duration"), ("delay",), side="P"),
    Kind("client_abort", "client", "request", "a client goes away", ("delay",), apart=False),
    Kind("duplicate_request", "client", "request", "a client sends its request twice",
         ("same_id",), apart=False),
    Kind("memory_short", "memory", "instance", "part of the KV blocks of an instance is gone",
         ("instance", "pool", "factor", "duration"), ("factor",), side="D", apart=False),
    Kind("preemption", "memory", "instance", "a decoding request loses its blocks",
         ("instance", "pool"), side="D", apart=False),
    Kind("transfer_preemption", "memory", "transfer", "D takes back blocks that KV comes to"),
    Kind("transit_short", "memory", "instance", "part of the room between P and D is gone",
         ("instance", "factor", "duration"), ("factor",), side="P"),
    Kind("fragmentation", "memory", "transfer", "blocks lie apart: descriptors multiply",
         ("factor",), ("factor",)),
    Kind("zombie_put", "memory", "transfer", "a put stalls, and lands long after its time",
         ("delay",), ("delay",)),
    Kind("pool_eviction", "memory", "router", "the pool evicts what was found and not yet read",
         ("count",)),
    Kind("mismatch", "representation", "transfer", "the bytes are not what the sides agreed on",
         ("mismatch",), ("mismatch",)),
    Kind("session_blacklisted", "admission", "instance", "P refuses to send to a decode instance",
         ("instance", "pool", "duration"), ("duration",), side="D"),
    Kind("decode_refuses", "admission", "admission", "D will not take what P has computed"),
    Kind("router_blind", "admission", "router", "the router hears nothing of decode's load",
         ("duration",), ("duration",)),
)  # fmt: skip

CATALOGUE: dict[str, Kind] = {kind.name: kind for kind in _KINDS}
"""Every kind by name, in the order of the classes."""


def fields_of(kind: Kind) -> tuple[str, ...]:
    """Return the fields that mean something for a kind.

    >>> fields_of(CATALOGUE["layout_miss"])
    ('at', 'when', 'nth', 'per_hour', 'probability', 'count', 'duration')
    """
    things = THINGS if kind.is_thing else ()
    return tuple(dict.fromkeys((*TRIGGERS, *things, *kind.takes)))
