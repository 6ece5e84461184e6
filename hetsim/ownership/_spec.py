"""What a protocol variant is: timers, options, declared guarantees, facts for the driver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec

INVARIANTS = tuple(f"I{number}" for number in range(1, 17))
"""Names of the invariants, in order; :mod:`hetsim.ownership._invariants` says what each means."""

OnError = Literal["fail", "recompute"]
OnPreempt = Literal["recompute", "retract", "reload"]


@spec
class Timers:
    """Timers of the protocols, in seconds; None means that the runtime has no such timer."""

    lease_s: float | None = None
    """P gives its blocks (or G its copy) up this long after the prefill."""
    beat_s: float | None = None
    """Interval at which D renews the lease, from when it first sees the request."""
    extend_s: float | None = None
    """A renewal moves the deadline to at least this long from now."""
    transfer_s: float | None = None
    """The initiator stops a transfer that takes longer."""
    registration_s: float | None = None
    """P forgets a registration of D that no prefill matched."""
    bootstrap_s: float | None = None
    """P gives up waiting for D's addresses."""
    waiting_s: float | None = None
    """D gives up waiting for a push once its addresses are published."""
    health_s: float | None = None
    """D notices that P is dead (interval times failures)."""
    resend_s: float | None = None
    """D says again that P may release, until P has acknowledged it."""
    drain_s: float | None = None
    """D holds blocks of an aborted request for P's acknowledgement."""
    read_lease_s: float | None = None
    """A pool protects an object this long after a lookup."""
    discard_s: float | None = None
    """A pool may pre-empt an unfinished put after this long."""
    release_s: float | None = None
    """A pool takes the memory of an unfinished put back after this long."""

    def __post_init__(self) -> None:
        problems = [
            Problem(f"must be above 0 s, or absent for no timer; seen {value!r}", name)
            for name in self.__slots__  # type: ignore[attr-defined]
            if (value := getattr(self, name)) is not None and not value > 0
        ]
        if problems:
            raise ScenarioError(problems)


@spec
class Options:
    """Choices beside the variant: they come from the runtime preset and the pair's layout."""

    on_error: OnError = "fail"
    on_preempt: OnPreempt = "recompute"
    convert: bool = False
    """A conversion runs on D between the last landing and admission."""
    handles: int = 1
    """Transfers per request at granularity ``request`` (one per pair of ranks, say)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a driver and a reader may want to know of a variant; never needed to drive it."""

    reserve_before_prefill: bool
    """D's blocks are granted before P may start (StartPrefill comes after CREDIT_GRANTED)."""
    granularity: Literal["request", "chunk", "layer"]
    """The unit of ``produced``."""
    initiator: Literal["P", "D", "X"]
    """Who posts the transfers."""
    releases_on: Literal["notice", "landed", "finish", "put", "copy"]
    """What frees ``Ps`` in the usual path."""
    block_sets: tuple[str, ...] = ("Ps", "Ds")
    flight: tuple[str, ...] = ("Ps", "Ds")
    """Block sets that a transfer touches."""
    second_flight: tuple[str, ...] = ()
    """Block sets that a transfer of the leg ``get`` touches."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run a protocol; ``traits`` are the words its table asks for."""

    name: str
    title: str
    facts: Facts
    timers: Timers
    traits: frozenset[str]
    guarantees: tuple[str, ...]
    """The invariants that hold in every history of this variant, crashes and losses included."""
    faulty: str = ""
    """For a variant that is broken on purpose: the invariant that names its defect."""
    source: str = ""

    @property
    def sound(self) -> bool:
        """Whether every invariant that a protocol can keep is kept (then they are laws)."""
        return set(PROTOCOL_INVARIANTS) <= set(self.guarantees)


PROTOCOL_INVARIANTS = ("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I10", "I11", "I15", "I16")
"""Those that a protocol alone can keep; I9, I12, I13 and I14 depend on the scenario as well."""
