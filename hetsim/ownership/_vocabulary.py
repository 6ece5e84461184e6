"""The words between a machine and whoever drives it: events in, instructions out.

The contract, so that a driver needs no ``if`` on a protocol
-------------------------------------------------------------
A driver executes every instruction of the returned tuple *in order* and feeds outcomes back as
events, each with the time at which it happens. Side ``P`` is the prefill (producer) instance, ``D``
the decode (consumer) instance, ``X`` a pool or transit store. Block sets are ``Ps`` (source blocks
on P), ``Ds`` (destination blocks on D) and ``X`` (transit copy or pool object).

=====================  =========================================================================
instruction            what the driver does, and the event it owes
=====================  =========================================================================
StartPrefill           P's scheduler may take the request. Owes ``PREFILL_STARTED`` when its first
                       step starts, then ``produced(piece, of)`` per piece of the machine's
                       granularity (one piece, ``produced(0, 1)``, for granularity ``request``).
StopPrefill            Take the request out of P's scheduler; owes nothing, and no ``produced``
                       may follow.
Dispatch               The router shows the request to D. Owes ``CONSUMER_SEEN`` after the delay.
Reserve(side)          Queue for blocks on ``side``. Owes ``CREDIT_GRANTED`` once the blocks are
                       allocated (``Ds`` is held from then on); ``XGRANTED`` for side ``X``.
Withdraw(side)         Leave that queue, if still in it: no grant may follow. Nothing was held.
StartTransfer(i,n,leg) Post piece i of n. ``direct`` moves Ps (or the transit copy X) to Ds,
                       ``put`` Ps to X, ``get`` X to Ds. Owes one of ``landed(i, n, leg)`` or
                       ``transfer_failed(..., leg)``; ``TRANSFER_STARTED`` may be fed when bytes
                       begin to move, and may be left out. To or from a dead instance:
                       ``transfer_failed(True)`` after the connect time-out.
StopTransfer(leg)      Ask the backend to stop the transfers of the request and to fence its
                       registration. Owes ``transfer_failed(True)`` for each piece it stopped,
                       then ``quiesced(leg)`` (at once if none was in flight). A request to stop
                       proves nothing; only ``quiesced`` does.
Send(name, to, rides)  A control message. Owes ``notice(name)`` after the control delay, unless
                       lost. ``rides``: it takes the way of the data that it speaks of, so that no
                       partition of the control plane alone stops it.
SetTimer(name, s, ..)  Owes ``timer_fired(name)`` after ``delay_s``; setting a name again replaces
                       it. ``side`` owns it (it dies with that side). ``on="step"``: it is read by
                       that side's step loop, so a stalled loop delays it. Delays are constant per
                       name in the usual path: a FIFO per (name, delay) is enough.
StopTimer(name)        Forget it. A late firing is ignored by every machine.
Convert(side)          Run the conversion (or copy-out on P). Owes ``CONVERTED``.
Admit                  The KV is covered: the request may decode. Owes ``FINISHED`` or
                       ``PREEMPTED``, ``cancelled``, ``crashed``.
Recompute(side)        ``D``: compute the prompt locally into the held ``Ds``, then decode, as after
                       Admit. ``P``: the prompt is computed again from the start of the machine.
Retract(side)          Copy ``Ds`` to the host tier (the Free that follows gives the blocks back).
Restore(side)          Copy it back into the blocks just granted, then decode, as after Admit.
Free(block_set, why)   Give the blocks back. Exactly once per grant. Freeing ``Ds`` of a decoding
                       request also takes it out of D's batch: no FINISHED may follow.
Quarantine(block_set)  The blocks are held although nobody can use them (for the occupancy table).
Fail(cause)            The request ended as failed. At most one of Fail, Abort, FINISHED.
Abort(cause)           The request ended as aborted by its client.
Corrupt(cause)         From here on this request's KV may be wrong although no error is seen.
=====================  =========================================================================

=====================  =========================================================================
event                  when it is fed
=====================  =========================================================================
ARRIVED                Once, first: the request was routed to its pair (P, D).
PREFILL_STARTED        P allocated ``Ps`` and runs the first step.
produced(i, n)         Piece i of n is complete in ``Ps`` (in order).
CONSUMER_SEEN          D's scheduler sees the request.
CREDIT_GRANTED         ``Ds`` is allocated.  XGRANTED: the same for ``X``.
landed(i, n)           The backend reports piece i done; no DMA of it is left.
transfer_failed(q)     A posted piece failed; ``q``: the backend also says that its DMA is over.
quiesced(leg)          After ``transfer_failed(False)`` or StopTransfer: no DMA of the leg is left.
CONVERTED              The conversion or copy is done.
notice(name)           A control message arrived at the side for which it was meant.
timer_fired(name)      A timer fired.
FINISHED / PREEMPTED   Decode is done / D took the blocks of a decoding request back, or, where the
                       protocol knows it, of one whose KV is still on its way.
REFUSED                D will not take a request that waits for its blocks.
EVICTED                The pool asks to evict ``X``: it may if the answer holds Free(X), else not.
cancelled(side)        The client's abort reached that side (feed both sides, each at its time).
crashed(side)          That side died; its blocks are gone (the machine answers with Free, cause
                       ``crash``) and its timers with it. Feed to every machine of the instance;
                       feed ``transfer_failed`` for transfers that saw an error, nothing if hung.
=====================  =========================================================================

Access begins when StartTransfer is issued (a post may happen at any time after) and ends only with
``landed``, ``transfer_failed(True)`` or ``quiesced``: a time-out is not proof of quiescence.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

Side = Literal["P", "D", "X"]
BlockSet = Literal["Ps", "Ds", "X"]
Leg = Literal["direct", "put", "get"]


class Event:
    """Something that happened; ``key`` is what tables are indexed by. Shared, never mutated."""

    __slots__ = ("key", "of", "piece")

    def __init__(self, key: str, piece: int = 0, of: int = 1) -> None:
        self.key = key
        self.piece = piece
        self.of = of

    def __repr__(self) -> str:
        return f"{self.key}({self.piece}/{self.of})" if self.of > 1 else self.key


ARRIVED = Event("arrived")
PREFILL_STARTED = Event("prefill_started")
CONSUMER_SEEN = Event("consumer_seen")
CREDIT_GRANTED = Event("credit_granted")
XGRANTED = Event("xgranted")
TRANSFER_STARTED = Event("transfer_started")
CONVERTED = Event("converted")
FINISHED = Event("finished")
PREEMPTED = Event("preempted")
REFUSED = Event("refused")
EVICTED = Event("evicted")


@lru_cache(maxsize=16384)
def produced(piece: int, of: int) -> Event:
    """Return the event that piece ``piece`` (from 0) of ``of`` is complete on P.

    The last piece has a key of its own, since it ends the prefill.

    >>> produced(0, 2).key, produced(1, 2).key
    ('produced', 'produced:last')
    """
    return Event("produced:last" if piece == of - 1 else "produced", piece, of)


@lru_cache(maxsize=16384)
def landed(piece: int, of: int, leg: Leg = "direct") -> Event:
    """Return the event that piece ``piece`` of ``of`` is in place and its DMA is over."""
    return Event("landed" if leg == "direct" else f"landed:{leg}", piece, of)


@lru_cache(maxsize=16384)
def transfer_failed(quiesced: bool, piece: int = 0, of: int = 1, leg: Leg = "direct") -> Event:
    """Return the event that a piece failed; ``quiesced``: the backend says that its DMA is over."""
    key = "failed:quiesced" if quiesced else "failed:live"
    return Event(key if leg == "direct" else f"{key}:{leg}", piece, of)


@lru_cache(maxsize=8)
def quiesced(leg: Leg = "direct") -> Event:
    """Return the event that no DMA of ``leg`` is left."""
    return Event("quiesced" if leg == "direct" else f"quiesced:{leg}")


@lru_cache(maxsize=256)
def notice(name: str) -> Event:
    """Return the event that control message ``name`` arrived."""
    return Event(f"notice:{name}")


@lru_cache(maxsize=256)
def timer_fired(name: str) -> Event:
    """Return the event that timer ``name`` fired."""
    return Event(f"timer:{name}")


@lru_cache(maxsize=8)
def cancelled(side: Side) -> Event:
    """Return the event that the client's abort reached ``side``."""
    return Event(f"cancelled:{side}")


@lru_cache(maxsize=8)
def crashed(side: Side) -> Event:
    """Return the event that ``side`` died."""
    return Event(f"crashed:{side}")


@dataclass(frozen=True, slots=True)
class Instruction:
    """Something a machine asks for; ``op`` names it for a driver's dispatch table."""

    op: ClassVar[str] = "nothing"


@dataclass(frozen=True, slots=True)
class StartPrefill(Instruction):
    """P's scheduler may take the request."""

    op: ClassVar[str] = "start_prefill"


@dataclass(frozen=True, slots=True)
class StopPrefill(Instruction):
    """Take the request out of P's scheduler."""

    op: ClassVar[str] = "stop_prefill"


@dataclass(frozen=True, slots=True)
class Dispatch(Instruction):
    """The router shows the request to D."""

    op: ClassVar[str] = "dispatch"


@dataclass(frozen=True, slots=True)
class Reserve(Instruction):
    """Queue for blocks on ``side``."""

    side: Side
    op: ClassVar[str] = "reserve"


@dataclass(frozen=True, slots=True)
class Withdraw(Instruction):
    """Leave the queue for blocks on ``side``."""

    side: Side
    op: ClassVar[str] = "withdraw"


@dataclass(frozen=True, slots=True)
class StartTransfer(Instruction):
    """Post piece ``piece`` of ``of``; ``leg`` names the hop where a protocol has two."""

    piece: int
    of: int
    leg: Leg = "direct"
    op: ClassVar[str] = "start_transfer"


@dataclass(frozen=True, slots=True)
class StopTransfer(Instruction):
    """Ask the backend to stop and fence every transfer of the request's ``leg``."""

    leg: Leg = "direct"
    op: ClassVar[str] = "stop_transfer"


@dataclass(frozen=True, slots=True)
class Send(Instruction):
    """Send a control message to ``to``; with ``rides`` it crosses wherever the data did."""

    notice: str
    to: Side
    rides: bool = False
    op: ClassVar[str] = "send"


@dataclass(frozen=True, slots=True)
class SetTimer(Instruction):
    """Arm timer ``name`` of ``side``; ``on="step"`` rides on that side's step loop."""

    name: str
    delay_s: float
    side: Side
    on: Literal["wall", "step"] = "wall"
    op: ClassVar[str] = "set_timer"


@dataclass(frozen=True, slots=True)
class StopTimer(Instruction):
    """Forget timer ``name``."""

    name: str
    op: ClassVar[str] = "stop_timer"


@dataclass(frozen=True, slots=True)
class Convert(Instruction):
    """Run the conversion (or, on P, the copy-out) on ``side``."""

    side: Side
    op: ClassVar[str] = "convert"


@dataclass(frozen=True, slots=True)
class Admit(Instruction):
    """The request may decode."""

    op: ClassVar[str] = "admit"


@dataclass(frozen=True, slots=True)
class Recompute(Instruction):
    """Compute the prompt on ``side`` instead of receiving it."""

    side: Side
    op: ClassVar[str] = "recompute"


@dataclass(frozen=True, slots=True)
class Retract(Instruction):
    """Copy the KV of a decoding request to ``side``'s host memory."""

    side: Side
    op: ClassVar[str] = "retract"


@dataclass(frozen=True, slots=True)
class Restore(Instruction):
    """Copy retracted KV back into the blocks just granted."""

    side: Side
    op: ClassVar[str] = "restore"


@dataclass(frozen=True, slots=True)
class Free(Instruction):
    """Give ``block_set`` back; ``cause`` says why, for the leak and ownership tables."""

    block_set: BlockSet
    cause: str
    op: ClassVar[str] = "free"


@dataclass(frozen=True, slots=True)
class Quarantine(Instruction):
    """``block_set`` is held, and nobody can use it until the backend is quiet."""

    block_set: BlockSet
    op: ClassVar[str] = "quarantine"


@dataclass(frozen=True, slots=True)
class Fail(Instruction):
    """The request ended as failed."""

    cause: str
    op: ClassVar[str] = "fail"


@dataclass(frozen=True, slots=True)
class Abort(Instruction):
    """The request ended as aborted."""

    cause: str
    op: ClassVar[str] = "abort"


@dataclass(frozen=True, slots=True)
class Corrupt(Instruction):
    """The request's KV may be wrong from here on, and nobody is told."""

    cause: str
    op: ClassVar[str] = "corrupt"


@lru_cache(maxsize=16384)
def start_transfer(piece: int, of: int) -> tuple[Instruction, ...]:
    """Return the shared one-element tuple that posts a piece."""
    return (StartTransfer(piece, of),)
