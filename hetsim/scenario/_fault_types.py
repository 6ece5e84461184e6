"""What may break, what is done about it, and where prompts are computed: optional sections.

A scenario without them runs as if this file were not there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from hetsim.spec import spec

if TYPE_CHECKING:
    Below1 = float
    Count = int
    Fraction = float
    LongerThanZero = float
    Number = int
    PerHour = float
    Factor = float
    Probability = float
    Seconds = float
else:
    from typing import Annotated

    from pydantic import Field

    from hetsim.spec._check import Seconds, quantity, real, whole

    LongerThanZero = quantity("second", example="2 s", inclusive=False)
    Count = whole(at_least=1, at_most=2**31 - 1)
    Number = whole(at_least=0, at_most=9_999)
    Fraction = real(above=0.0, at_most=1.0)
    Below1 = Annotated[float, Field(gt=0.0, lt=1.0)]
    Factor = Annotated[float, Field(gt=0.0, le=1e6)]
    PerHour = Annotated[float, Field(ge=0.0, le=1e6)]
    Probability = Annotated[float, Field(ge=0.0, le=1.0)]

__all__ = ["Fault", "FaultKind", "Placement", "Recovery"]

FaultKind = Literal[
    "prefill_crash",
    "decode_crash",
    "pool_crash",
    "router_crash",
    "link_slow",
    "link_flap",
    "rail_down",
    "transfer_fail",
    "transfer_hang",
    "partial_write",
    "partition",
    "notice_lost",
    "notice_repeated",
    "notice_late",
    "step_stall",
    "connect_slow",
    "layout_miss",
    "timer_scale",
    "clock_skew",
    "client_abort",
    "duplicate_request",
    "memory_short",
    "preemption",
    "fragmentation",
    "mismatch",
    "session_blacklisted",
    "router_blind",
    "zombie_put",
    "pool_eviction",
    "transfer_preemption",
    "transit_short",
    "decode_refuses",
]


@spec
class Fault:
    """Something breaks: at a time, at a state of the protocol, or at random."""

    kind: FaultKind
    """What breaks; ``prefill_crash`` and ``decode_crash`` stop one instance, ``link_slow`` slows
    its port, and so on."""
    at: Seconds | None = None
    """When; with ``per_hour`` or ``probability``: from when on."""
    when: str | None = None
    """A state of the ownership machine, such as ``Ds:reading``: it strikes when a request enters
    it."""
    nth: Count | None = None
    """With ``when``: the how manieth request to enter; left out: the first."""
    per_hour: PerHour | None = None
    """Mean strokes per hour, at random times; 0 = never."""
    probability: Probability | None = None
    """Each message, transfer or request is hit with this probability; 0 = never."""
    count: Count | None = None
    """How many messages, transfers or requests one stroke hits; left out: 1, or all within
    ``duration``."""
    instance: Number = 0
    """Number of the instance in its pool, from 0; with ``when``: that of the request."""
    pool: str | None = None
    """Left out: the pool that does the stage (``link_slow``: the prefill pool)."""
    restart_after: LongerThanZero | None = None
    """A crash: when the instance is back; left out: it stays down."""
    factor: Factor | None = None
    """What is left of a rate, a delay or the blocks; ``fragmentation``: times the descriptors."""
    duration: LongerThanZero | None = None
    """How long; left out: to the end (``rail_down``: 30 s)."""
    times: Count | None = None
    """``link_flap``: how often the link goes down; left out: once."""
    period: LongerThanZero | None = None
    """``link_flap``: from one time to the next; left out: twice the duration."""
    rails: Count | None = None
    """``rail_down``: rails of the instance, one of which fails; left out: the NICs of a node."""
    delay: LongerThanZero | None = None
    """How late a message or a connection is, how far a clock is ahead, or how long after its
    arrival a client goes away."""
    notice: str | None = None
    """Name of the control message: done, addresses, failed, abort, ack, beat or dispatch; left
    out: any."""
    timer: str | None = None
    """``timer_scale``: name of the timer, such as lease, beat or transfer."""
    plane: Literal["control", "data", "both"] | None = None
    """``partition``: what does not cross; left out: both."""
    live: bool = False
    """``transfer_fail``: the backend cannot say whether its DMA is over."""
    settle: LongerThanZero | None = None
    """``transfer_fail`` with ``live``: when the DMA is known to be over; left out: after 1 s."""
    same_id: bool = False
    """``duplicate_request``: the same request is delivered twice, under one id."""
    mismatch: str | None = None
    """``mismatch``: what differs, such as static_scales or fn_vs_fnuz."""


@spec
class Recovery:
    """What the router does with a request that failed; left out: it stays failed."""

    policy: Literal["fail", "retry", "recompute", "reprefill", "reload"]
    """``retry``: anew on any pair; ``recompute``: the decode pool computes the prompt;
    ``reprefill``: the prefill pool once more, for the same decode instance if it lives;
    ``reload``: the same, with whatever the tiers of ``residency`` still hold of the prompt; what
    was put into the pool between the stages (pool_lease) is read from there, and nothing is
    computed."""
    attempts: Count = 1
    """How often at most, per request."""
    delay: Seconds = 0.0
    """Between the failure and the next attempt, beside one control message."""


@spec
class Placement:
    """Which prompts, or parts of them, the decode pool computes."""

    bypass_below: Count | None = None
    """Prompts of fewer tokens are computed in the decode pool and never cross."""
    decode_share: Below1 | None = None
    """This part of every prompt, its end, is computed on the decode side."""
    decode_tokens: Count | None = None
    """So many tokens of every prompt, its end, are computed on the decode side."""
    relief_above: Count | None = None
    """Where more prompt tokens than this wait per prefill instance, the decode pool computes new
    prompts."""
