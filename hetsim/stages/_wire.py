"""The bytes of a hand-off: tokens to a plan, a plan to a flow, a landed flow to a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hetsim.engine import Flow
from hetsim.metrics import pack_transfer
from hetsim.ownership._vocabulary import StartTransfer
from hetsim.serving import Seq
from hetsim.stages._plan import BoundaryPlan
from hetsim.stages._pool import PoolStage
from hetsim.stages._world import World

__all__ = ["Wire"]

_PLANS = 8192
"""Transfer plans remembered at a time, by tokens."""


class Wire:
    """Moves the pieces of requests from a prefill to a decode pool; ``on_landed`` hears of each."""

    def __init__(
        self,
        world: World,
        plan: BoundaryPlan,
        source: PoolStage,
        target: PoolStage,
        on_landed: Callable[[Seq, StartTransfer], None],
    ) -> None:
        self.world = world
        self.engine = world.engine
        self.fabric = world.fabric
        self.plan = plan
        self.ends = source.plan.name, target.plan.name
        self.on_landed = on_landed
        self._rows = world.recorder.transfers
        self._by_layer = plan.granularity == "layer"
        self._paths: dict[tuple[int, int], Any] = {}
        self._plans: dict[int, tuple[Any, float]] = {}

    def start(self, seq: Seq, order: StartTransfer, worse: float = 1.0) -> Flow:
        """Post one piece: its tokens, its bytes, its path.

        ``worse``: how many times the usual descriptors it takes.
        """
        now = self.engine._now
        tokens = seq.transfer_tokens if order.of == 1 else self._piece_tokens(seq, order)
        planned, beside_s = self._plans.get(tokens) or self._plan(tokens)
        if worse != 1.0:
            planned, beside_s = self._worsen(planned, beside_s, worse)
        source = seq.source.index if seq.source is not None else seq.prefill_instance
        pair = (source, seq.dest.index)
        path = self._paths.get(pair) or self._path(pair)
        if seq.transfer_start_s != seq.transfer_start_s:
            seq.transfer_start_s = now
        limit = planned.rate_bytes_per_s
        if self._by_layer and seq.second_s > now:
            limit = min(limit, planned.bytes / (seq.second_s - now))
        fabric = self.fabric
        assert fabric is not None
        flow = fabric.start(
            path, planned.bytes, self._landed, (seq, order, planned), limit, beside_s
        )
        seq.convert_s += planned.producer_convert_s
        return flow

    def convert_s(self, seq: Seq) -> float:
        """Return, and book, the seconds that the consumer converts the KV of ``seq``."""
        seconds: float = self.plan.transfer.plan(seq.transfer_tokens).consumer_convert_s
        seq.convert_s += seconds
        return seconds

    def _plan(self, tokens: int) -> tuple[Any, float]:
        """Return the transfer of ``tokens``, and its seconds beside the wire; remember both."""
        planned = self.plan.transfer.plan(tokens)
        beside_s = (
            planned.post_s
            + planned.fixed_s
            + planned.producer_convert_s
            + planned.producer_stage_s
            + planned.consumer_stage_s
        )
        plans = self._plans
        if len(plans) >= _PLANS:
            plans.clear()
        found = plans[tokens] = (planned, beside_s)
        return found

    def _worsen(self, planned: Any, beside_s: float, times: float) -> tuple[Any, float]:
        """Return the transfer with ``times`` the descriptors: posted one by one, limited so."""
        count = planned.descriptors * times
        rate = planned.rate_bytes_per_s
        if count * self.plan.transfer.descriptor_s * rate > planned.bytes:
            rate = planned.bytes / (count * self.plan.transfer.descriptor_s)
        more_s = planned.post_s * (times - 1.0)
        worse = planned._replace(
            descriptors=count, post_s=planned.post_s + more_s, rate_bytes_per_s=rate
        )
        return worse, beside_s + more_s

    def _piece_tokens(self, seq: Seq, order: StartTransfer) -> int:
        if self.plan.granularity == "request":  # several handles share the request
            return -(-seq.transfer_tokens // order.of)
        size = self.plan.chunk_tokens
        first = order.piece * size
        return max(1, min(size, seq.transfer_tokens - first))

    def _path(self, pair: tuple[int, int]) -> Any:
        source, target = self.ends
        path = self.world.plan.network.path(f"{source}/{pair[0]}", f"{target}/{pair[1]}")
        self._paths[pair] = path
        return path

    def _landed(self, flow: Any) -> None:
        seq, order, planned = flow.tag
        now, started_s = self.engine._now, flow.started_s
        end_s = seq.prefill_end_s
        exposed_s = 0.0
        if end_s == end_s:
            exposed_s = now - (end_s if end_s > started_s else started_s)
            if exposed_s < 0.0:
                exposed_s = 0.0
        self._rows(
            pack_transfer(
                seq.rid, seq.prefill_instance, seq.dest.index, planned.bytes, planned.descriptors,
                started_s, started_s, now - started_s, planned.pieces, exposed_s, 0, 0,
            )
        )  # fmt: skip
        self.on_landed(seq, order)
