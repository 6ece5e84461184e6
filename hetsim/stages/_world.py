"""The simulation as a whole: the clock, the pools, the counters, and how a request ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hetsim.engine import Engine, Fabric, SharedFabric
from hetsim.errors import InvariantViolated
from hetsim.metrics import STATUSES, Recorder, RunInfo, pack_request
from hetsim.serving import NAN, Seq
from hetsim.stages._crossing import Crossings, crosses
from hetsim.stages._plan import SimulationPlan

__all__ = ["REASONS", "USUAL_REASONS", "World"]

REASONS = (
    "", "longer_than_context", "larger_than_pool", "queue_full", "queue_timeout", "prefill_crash",
    "decode_crash", "transfer_failed", "horizon", "client", "other", "router_crash", "deadlock",
    "refused",
)  # fmt: skip
"""Why a request did not finish, by code."""

USUAL_REASONS = 11
"""Of these, the reasons of a run in which nothing breaks."""

FINISHED, REJECTED, TIMED_OUT, FAILED, UNFINISHED = range(len(STATUSES))


class World:
    """What every process of a simulation shares."""

    def __init__(self, plan: SimulationPlan, recorder: Recorder, info: RunInfo) -> None:
        self.plan = plan
        self.engine = Engine()
        self.recorder = recorder
        self.info = info
        self.fabric: Fabric | None = None
        self.crossings: Crossings | None = None
        """Collectives that leave their node; None where all stay inside."""
        if crosses(plan):
            self.fabric = shared = SharedFabric(self.engine, plan.network)
            self.crossings = Crossings(shared)
        elif plan.network is not None:
            self.fabric = Fabric(self.engine, plan.network)
        self.arrived = 0
        self.ended = [0] * len(STATUSES)
        self.inside: dict[int, Seq] = {}
        self.reasons: dict[str, int] = {}
        self.on_end: list[Callable[[Seq, float], None]] = []
        self.osl: Any = None
        self.end_s = 0.0
        self.violations: dict[str, int] = {}
        """Broken invariants of kv_boundary, by name, where the variant is not declared sound."""
        self.ok_corrupt = 0
        self.leak_page_s: dict[str, float] = {}
        self.faults: Any = None
        """What broke (:class:`hetsim.stages._breaker.Breaker`), where anything may."""
        self.deadlocks: list[Any] = []
        self.pools: list[Any] = []
        self.tiers: Any = None
        """:class:`hetsim.stages._tiers.Tiers`, where there are tiers below HBM."""
        self.transit: Any = None
        """:class:`hetsim.stages._transit.Transit`, where a store lies between P and D."""
        self.progress: Callable[[int], None] | None = None
        self._requests = recorder.requests

    def arrive(self, seq: Seq) -> None:
        """Count a request in."""
        self.arrived += 1
        self.inside[seq.rid] = seq

    def end(self, seq: Seq, status: int, reason: str = "") -> None:
        """Count a request out, exactly once, and write its row."""
        if seq.gone:
            return
        seq.gone = True
        seq.status = status
        del self.inside[seq.rid]
        self.ended[status] += 1
        code = 0
        if reason:
            code = REASONS.index(reason)
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self._requests(
            pack_request(
                seq.rid, seq.arrival_s, seq.isl, self.osl[seq.rid], status, code,
                seq.enqueued_s, seq.prefill_start_s, seq.prefill_end_s, seq.transfer_start_s,
                seq.landed_s, seq.decode_start_s, seq.first_s, seq.second_s, seq.last_s,
                seq.cached, seq.preempted, seq.prefill_instance, seq.decode_instance, seq.out,
                seq.convert_s, seq.corrupt, seq.user, seq.turn,
            )
        )  # fmt: skip
        ended = self.arrived - len(self.inside)
        if not ended & 1023:
            self.recorder.maybe_flush(self.info)
            if self.progress is not None:
                self.progress(ended)
        for tell in self.on_end:
            tell(seq, self.engine.now)

    def close(self) -> None:
        """End what is still inside as unfinished, and hold the counters to law L1."""
        for seq in list(self.inside.values()):
            if seq.first_s == seq.first_s and seq.last_s != seq.last_s:
                seq.last_s = NAN
            self.end(seq, UNFINISHED, "horizon")
        if sum(self.ended) != self.arrived:
            raise InvariantViolated("L1", f"{self.arrived} arrived, {self.ended} ended")
