"""From cost drivers, an engine and two ends to a small object that plans one request in no time."""

from __future__ import annotations

from collections.abc import Sequence

from hetsim.errors import InfeasibleError
from hetsim.representation import CostDrivers
from hetsim.spec import spec
from hetsim.transfer._types import (
    Converter,
    Endpoint,
    Granularity,
    Registration,
    TransferEngine,
    TransferPlan,
)

__all__ = ["Planner", "Staging", "build_planner", "handshake_s", "plan_transfer", "registration_s"]


@spec
class Staging:
    """How devices out of the network's reach copy through the host."""

    pipelined: bool
    """Copy and network overlap piece by piece; otherwise the step waits for the whole copy."""
    piece_bytes: float
    """Bytes of one piece of the pipeline."""


class _Group:
    """Coefficients of one cache group; plain slots, since ``plan`` runs once per request."""

    __slots__ = ("consumer", "descriptors", "flows", "minimum", "producer", "state", "window")

    def __init__(self, drivers: CostDrivers, mean_block_run: float) -> None:
        self.window = drivers.window or 1 << 62
        self.state = drivers.state_bytes
        self.descriptors = drivers.constant_descriptors
        self.minimum = float(drivers.rank_pairs)
        self.flows = tuple(
            (
                flow.unit_tokens,
                flow.bytes_per_token,
                flow.descriptors_per_token / (mean_block_run if flow.mergeable else 1.0),
            )
            for flow in drivers.flows
        )
        self.producer = sum(drivers.producer)
        self.consumer = sum(drivers.consumer)


class Planner:
    """Plans of one pool pair. Made once; ``plan(tokens)`` is a handful of multiplications."""

    __slots__ = (
        "_consumer_launch_s",
        "_consumer_s_per_byte",
        "_control_s",
        "_fill_s",
        "_groups",
        "_limit_s",
        "_line",
        "_pieces",
        "_post_s",
        "_producer_launch_s",
        "_producer_s_per_byte",
        "_stage_in",
        "_stage_out",
        "_staged",
        "_tokens_per_piece",
    )

    def __init__(
        self,
        groups: Sequence[CostDrivers],
        engine: TransferEngine,
        producer: Endpoint,
        consumer: Endpoint,
        *,
        granularity: Granularity,
        chunk_tokens: int,
        layers: int,
        mean_block_run: float,
        staging: Staging | None,
        producer_converter: Converter,
        consumer_converter: Converter,
    ) -> None:
        self._groups = tuple(_Group(drivers, mean_block_run) for drivers in groups)
        send = max(drivers.sender_share for drivers in groups)
        receive = max(drivers.receiver_share for drivers in groups)
        self._control_s = engine.control_s
        # Every rank posts its own descriptors; the busiest one is waited for.
        self._post_s = engine.post_s * max(send, receive)
        line = min(producer.line_bytes_per_s(send), consumer.line_bytes_per_s(receive))
        self._line = line * engine.ceiling_ratio
        self._limit_s = _seconds_per_descriptor(engine, producer, consumer, send, receive)
        self._pieces = layers if granularity == "layer" else 1
        self._tokens_per_piece = chunk_tokens if granularity == "chunk" else 0
        self._producer_s_per_byte, self._producer_launch_s = _converter(
            producer, producer_converter
        )
        self._consumer_s_per_byte, self._consumer_launch_s = _converter(
            consumer, consumer_converter
        )
        self._stage(groups, producer, consumer, (send, receive), staging)

    def _stage(
        self,
        groups: Sequence[CostDrivers],
        producer: Endpoint,
        consumer: Endpoint,
        shares: tuple[float, float],
        staging: Staging | None,
    ) -> None:
        """Book the copies through hosts: into the rate if pipelined, else as seconds per byte."""
        self._staged = False
        self._stage_out = self._stage_in = self._fill_s = 0.0
        sides = {side for drivers in groups for side in drivers.staged_sides}
        for side, end, share in (
            ("producer", producer, shares[0]),
            ("consumer", consumer, shares[1]),
        ):
            if side not in sides:
                continue
            seconds_per_byte = _stage_s_per_byte(side, end, share, staging)
            self._staged = True
            if staging is not None and staging.pipelined:
                self._line = min(self._line, 1.0 / seconds_per_byte)
                self._fill_s += staging.piece_bytes * seconds_per_byte
            elif side == "producer":
                self._stage_out = seconds_per_byte
            else:
                self._stage_in = seconds_per_byte

    def bound_by_descriptors(self, tokens: int) -> bool:
        """Say whether pieces, posted and carried one by one, take longer than their bytes."""
        plan = self.plan(tokens)
        return plan.rate_bytes_per_s < self._line or plan.post_s * self._line > plan.bytes

    @property
    def descriptor_s(self) -> float:
        """Seconds per descriptor at the busiest NIC; 0 where no limit is known."""
        return self._limit_s

    def plan(self, tokens: int) -> TransferPlan:
        """Return the plan of a request that hands over ``tokens`` of context."""
        size = count = converted_p = converted_c = 0.0
        for group in self._groups:
            held = tokens if tokens < group.window else group.window
            size += group.state
            found = group.descriptors
            for unit, amount, descriptors in group.flows:
                rounded = -(-held // unit) * unit
                size += rounded * amount
                found += rounded * descriptors
            count += found if found > group.minimum else group.minimum
            converted_p += held * group.producer
            converted_c += held * group.consumer
        rate = self._line
        if count * self._limit_s * rate > size:
            rate = size / (count * self._limit_s)
        pieces = self._pieces
        if self._tokens_per_piece:
            pieces = -(-tokens // self._tokens_per_piece)
        return TransferPlan(
            size,
            count,
            count * self._post_s,
            self._control_s + self._fill_s,
            self._producer_launch_s + converted_p * self._producer_s_per_byte
            if converted_p
            else 0.0,
            self._consumer_launch_s + converted_c * self._consumer_s_per_byte
            if converted_c
            else 0.0,
            size * self._stage_out,
            size * self._stage_in,
            self._staged,
            pieces,
            rate,
        )


def _converter(end: Endpoint, converter: Converter) -> tuple[float, float]:
    return 1.0 / (end.memory_bytes_per_s * converter.efficiency), converter.launch_s


def _stage_s_per_byte(side: str, end: Endpoint, share: float, staging: Staging | None) -> float:
    """Return the seconds per byte of the whole request that one side's host copy takes."""
    if staging is None or end.host_bytes_per_s is None:
        raise InfeasibleError(
            f"the network does not reach the {side}'s device memory, and no host staging is set up",
            [("needed", "staging, and the host_bytes_per_s of the accelerator")],
        )
    return share / end.host_bytes_per_s


def _seconds_per_descriptor(
    engine: TransferEngine, producer: Endpoint, consumer: Endpoint, send: float, receive: float
) -> float:
    """Return the seconds per descriptor of a request that the busiest NIC needs."""
    if engine.descriptors_per_s is None:
        return 0.0
    busiest = max(_nic_share(producer, send), _nic_share(consumer, receive))
    return busiest / engine.descriptors_per_s


def _nic_share(end: Endpoint, share: float) -> float:
    return end.nic_bytes_per_s / end.line_bytes_per_s(share)


def build_planner(
    groups: Sequence[CostDrivers],
    engine: TransferEngine,
    producer: Endpoint,
    consumer: Endpoint,
    *,
    producer_converter: Converter,
    consumer_converter: Converter,
    granularity: Granularity = "request",
    chunk_tokens: int = 0,
    layers: int = 1,
    mean_block_run: float = 1.0,
    staging: Staging | None = None,
) -> Planner:
    """Return the planner of one pool pair.

    ``mean_block_run`` is 1 unless the runtime merges consecutive block ids. ``layers`` and
    ``chunk_tokens`` set the pieces of layer-wise and chunk-wise transfers.

    Raises
    ------
    InfeasibleError
        If a side needs host staging and has none.
    """
    return Planner(
        groups,
        engine,
        producer,
        consumer,
        granularity=granularity,
        chunk_tokens=chunk_tokens,
        layers=layers,
        mean_block_run=mean_block_run,
        staging=staging,
        producer_converter=producer_converter,
        consumer_converter=consumer_converter,
    )


def plan_transfer(planner: Planner, tokens: int) -> TransferPlan:
    """Return the plan of one request; the same as ``planner.plan(tokens)``."""
    return planner.plan(tokens)


def handshake_s(drivers: CostDrivers, engine: TransferEngine, round_trip_s: float) -> float:
    """Return the extra seconds of the first request between two instances.

    Every consumer rank greets every producer rank it may read; ranks work side by side.
    """
    pairs_per_rank = drivers.handshake_pairs / max(1, drivers.receiver_ranks)
    return engine.connect_s + pairs_per_rank * round_trip_s


def registration_s(
    regions: int, host_bytes: float, ranks: int, registration: Registration
) -> float:
    """Return the start-up seconds to register ``regions`` of an instance and its host buffers.

    Ranks register their own regions side by side.
    """
    return regions / max(1, ranks) * registration.region_s + host_bytes * (
        registration.host_s_per_byte / max(1, ranks)
    )
