"""The invariants I1-I16 by name: what each says, checks of a design, and the ledger of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hetsim.ownership._machine import PARTS, Machine
from hetsim.ownership._spec import INVARIANTS, Variant

__all__ = [
    "INVARIANT_TEXT",
    "Ledger",
    "conservation",
    "design_violations",
    "lease_bound",
    "no_deadlock",
    "pool_key",
    "timer_order",
    "timer_start",
]

INVARIANT_TEXT: Mapping[str, str] = {
    "I1": "no reuse under access: blocks are freed only when no compute or DMA may touch them",
    "I2": "liveness: what a request reserved is released within bounded time after it ended",
    "I3": "single owner: each block set has one party that must release it, and it does so once",
    "I4": "conservation: free + owned + quarantined = total, on every device",
    "I5": "generation: a reference to blocks that were given up is refused, never served",
    "I6": "coverage: decode starts only when every piece has landed",
    "I7": "idempotent control: late, repeated or reordered messages change no ended request",
    "I8": "all or nothing: one failed handle fails the request, after its siblings are over",
    "I9": "lease bound: a lease outlasts queue and transfer, or is renewed off the step loop",
    "I10": "timer order: whoever gives blocks up waits longer than whoever may still write them",
    "I11": "timer start: a timer starts at the event it bounds",
    "I12": "no capacity deadlock: the waits for room have no cycle",
    "I13": "representation: no transfer of bytes that the consumer would read wrongly",
    "I14": "pool key: the key of an object names everything that fixes its bytes",
    "I15": "sweep independence: expiry runs although the instance is idle or its steps stall",
    "I16": "one end: ok, failed or aborted, once, and never ok with wrong KV",
}

POOL_KEY = ("semantics_id", "enc", "scale_id", "page", "order", "pack", "shard")
"""Fields that the key of a pool object needs (I14)."""


def timer_order(v: Variant) -> str:
    """Return what breaks I10 in the timers of a variant, or nothing.

    >>> from hetsim.ownership import get_plan
    >>> timer_order(get_plan("consumer_triggered_push", "mooncake").variant)
    ''
    """
    timers = v.timers
    if v.facts.initiator != "P":
        return ""
    if (
        timers.waiting_s is not None
        and timers.lease_s is not None
        and timers.waiting_s <= timers.lease_s
    ):
        return f"D gives up after {timers.waiting_s:g} s, P only after {timers.lease_s:g} s"
    if timers.drain_s is None or "fenced" in v.traits:
        return ""
    if timers.transfer_s is None:
        return f"D drains for {timers.drain_s:g} s, but nothing bounds a transfer"
    if timers.drain_s <= timers.transfer_s:
        return f"D drains for {timers.drain_s:g} s, a transfer may take {timers.transfer_s:g} s"
    return ""


def timer_start(v: Variant) -> str:
    """Return what breaks I11, or nothing: P's wait for addresses must not measure D's queue."""
    if v.timers.bootstrap_s is None or "renew" in v.traits:
        return ""
    return "P's wait for addresses starts before D has room, so it measures D's queue"


def lease_bound(v: Variant, handshake_s: float, queue_s: float, transfer_s: float) -> str:
    """Return what breaks I9 for the given times, or nothing.

    >>> from hetsim.ownership import get_plan
    >>> lease_bound(get_plan("pull_lease", "legacy").variant, 0.1, 500.0, 1.0)
    'the lease of 480 s ends before handshake, queue and transfer of 501.1 s'
    """
    lease_s, need_s = v.timers.lease_s, handshake_s + queue_s + transfer_s
    if lease_s is None or lease_s >= need_s:
        return ""
    if "renew" not in v.traits:
        return (
            f"the lease of {lease_s:g} s ends before handshake, queue and transfer of {need_s:g} s"
        )
    return (
        "" if "fenced" in v.traits else "the lease is renewed from D's step loop, which may stall"
    )


def no_deadlock(waits: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Return a cycle of the wait-for graph (holder -> those it waits for), or nothing (I12).

    >>> no_deadlock({"P": ["D"], "D": ["P"]})
    ('D', 'P', 'D')
    >>> no_deadlock({"P": ["D"], "D": []})
    ()
    """
    done: set[str] = set()
    for start in sorted(waits):
        path: list[str] = []
        found = _cycle(start, waits, path, done)
        if found:
            return found
    return ()


def _cycle(
    node: str, waits: Mapping[str, Iterable[str]], path: list[str], done: set[str]
) -> tuple[str, ...]:
    if node in path:
        return (*path[path.index(node) :], node)
    if node in done:
        return ()
    path.append(node)
    for following in sorted(waits.get(node, ())):
        found = _cycle(following, waits, path, done)
        if found:
            return found
    path.pop()
    done.add(node)
    return ()


def pool_key(fields: Sequence[str]) -> tuple[str, ...]:
    """Return the fields that a pool key lacks (I14), in the order of ``POOL_KEY``.

    >>> pool_key(["semantics_id", "page", "order", "pack", "shard"])
    ('enc', 'scale_id')
    """
    return tuple(field for field in POOL_KEY if field not in fields)


def conservation(free: int, owned: int, quarantined: int, total: int) -> str:
    """Return what breaks I4, or nothing.

    >>> conservation(3, 4, 1, 8)
    ''
    """
    seen = free + owned + quarantined
    return (
        ""
        if seen == total
        else f"{free} free + {owned} owned + {quarantined} quarantined != {total}"
    )


def design_violations(v: Variant) -> dict[str, str]:
    """Return the invariants that a variant's timers break before anything runs."""
    found = {"I10": timer_order(v), "I11": timer_start(v)}
    return {name: why for name, why in found.items() if why}


USUAL = frozenset({"delivered", "finished", "stored", "copied", "crash", "preempted", "retracted"})
"""Causes of a free that are no leak: the content was needed until then, or its device died."""


class Ledger:
    """What went wrong in a run: violations per invariant, corrupt answers, leaked block-seconds.

    The usual path costs one test per free and none per transfer: a driver calls :meth:`freed` for
    every Free, :meth:`posted` for StartTransfer only where a block set is gone, :meth:`ended` once
    per request.
    """

    __slots__ = ("causes", "leak_block_seconds", "ok_corrupt", "violations")

    def __init__(self) -> None:
        #: Number of violations by invariant.
        self.violations: dict[str, int] = dict.fromkeys(INVARIANTS, 0)
        #: Number of violations by (invariant, cause).
        self.causes: dict[tuple[str, str], int] = {}
        #: Requests that ended ok with KV that may be wrong.
        self.ok_corrupt = 0
        #: Blocks times seconds held after they were of use, by (block set, cause of the free).
        self.leak_block_seconds: dict[tuple[str, str], float] = {}

    def count(self, invariant: str, cause: str) -> None:
        """Count one violation."""
        self.violations[invariant] += 1
        key = (invariant, cause)
        self.causes[key] = self.causes.get(key, 0) + 1

    def freed(
        self,
        machine: Machine,
        block_set: str,
        cause: str,
        at_s: float,
        blocks: int = 0,
        useless_since_s: float | None = None,
    ) -> None:
        """Take note of a Free (call it after ``handle`` returned the instruction).

        ``useless_since_s``: when the content stopped to be of use: the last landing for ``Ps``, the
        end of the request for ``Ds``. None where it was of use until now.
        """
        if machine.flying or machine.getting:
            if cause != "crash" and machine.access(block_set):
                self.count("I1", cause)
        elif cause in USUAL:
            return
        if useless_since_s is not None and cause not in USUAL and at_s > useless_since_s:
            self.leaked(block_set, cause, blocks * (at_s - useless_since_s))

    def leaked(self, block_set: str, cause: str, block_seconds: float) -> None:
        """Add block-seconds; for blocks never freed, ``cause`` ``never`` at the end of a run."""
        key = (block_set, cause)
        self.leak_block_seconds[key] = self.leak_block_seconds.get(key, 0.0) + block_seconds

    def posted(self, machine: Machine, source: str = "Ps") -> None:
        """Take note of a StartTransfer: a block set that is gone must be refused (I5)."""
        for block_set in (source, "Ds"):
            if machine.owner(block_set) is None and machine.part(block_set) != "lost":
                self.count("I5", f"{block_set} was given up")

    def stalled(self, cause: str) -> None:
        """Take note of an expiry that came late because the step loop stood still (I15)."""
        self.count("I15", cause)

    def ended(self, machine: Machine, wrong: bool | None = None) -> None:
        """Take note of the end of a request; ``wrong`` overrides the machine's own suspicion."""
        corrupt = machine.corrupt if wrong is None else wrong
        if corrupt and machine.outcome == "ok":
            self.ok_corrupt += 1
            self.count("I16", "ok with wrong KV")

    def left(self, machine: Machine, at_s: float, blocks: int, since_s: float) -> None:
        """Take note of what an ended request still holds when the run ends (I2)."""
        if machine.outcome is None:
            return
        for block_set in PARTS:
            if machine.owner(block_set) not in (None, "pool"):
                self.count("I2", f"{block_set} in {machine.part(block_set)}")
                self.leaked(block_set, "never", blocks * (at_s - since_s))

    def broken(self) -> tuple[str, ...]:
        """Return the names of the violated invariants, in order."""
        return tuple(name for name in INVARIANTS if self.violations[name])
