"""Seconds of collectives: measured kernels where there are any, else from nominal link rates."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log2
from typing import NamedTuple

from hetsim.costs._calibration import Calibration, Piece
from hetsim.costs._exchange import Routing, exchange_pieces
from hetsim.costs._types import GroupLinks, Layout
from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import Accelerator, get_accelerator

__all__ = ["NETWORK_RATIO", "Collectives", "measured_pieces"]

_SOURCE = "derived from nominal link rates"

_SWITCHED = 0.55
"""Part of the nominal rate that a ring over a switch reaches: A100 0.53-0.55, B200 0.55-0.56,
H100 0.62-0.70 (public custom all-reduce tables); the low end, for unmeasured devices."""
_MESH = 0.70
"""MI300X: 313 GB/s bus rate over eight, 48 of 64 GB/s over a pair (ml-engineering, RCCL notes)."""
_PCIE = 0.60
"""Of the line for two devices, falling as (2/n)^0.7 (public tables of L40S and RTX PRO 6000)."""
_EXCHANGE = 0.40
"""Of the scale-up rate in expert all-to-all (DeepEP and public MoE serving rows)."""
NETWORK_RATIO = 0.80
"""Of the NIC line in collectives across nodes (NCCL over 400 Gbit/s, large messages)."""

_BOARD = 8
"""Most devices of a scale-up domain that is one server."""
_GROUPS = (2, 4, 8, 16, 32, 64)

_FLOOR_S = {"switched": 3.5e-6, "mesh": 10e-6, "torus": 5e-6, "pcie": 20e-6}
_HOP_S = 0.75e-6
_EXCHANGE_FLOOR_S = 15e-6
_NETWORK_FLOOR_S = 20e-6


class Wire(NamedTuple):
    """How a group of devices is joined: kind, and byte/s per device to all and to one peer."""

    kind: str
    aggregate: float
    per_peer: float


class Collectives:
    """Answers how long a collective over ``ranks`` consecutive devices takes, as pieces.

    ``bytes`` is the whole tensor for all-reduce, all-gather and reduce-scatter, and what one
    device sends for all-to-all and p2p. With ring rate r: all-reduce ``2 (n-1)/n bytes / r``;
    a mesh sends to all peers at once at the pair rate. Across domains the local part runs first,
    then ``bytes / n_local`` per device crosses the network.
    """

    def __init__(
        self, accelerator: Accelerator, calibration: Calibration, links: GroupLinks
    ) -> None:
        self._device = accelerator
        self._calibration = calibration
        self._links = links

    def pieces(self, kind: str, ranks: int) -> tuple[Piece, ...]:
        """Return the pieces of ``kind`` over ``ranks`` devices; their minimum is the time.

        Raises
        ------
        ScenarioError
            If a rate that is needed has no source.
        """
        if ranks <= 1:
            return ()
        local = min(ranks, self._links.devices_per_domain)
        inside = self._inside(kind, local) if local > 1 else ()
        if ranks <= self._links.devices_per_domain:
            return inside
        outside = self._outside(kind, ranks, local)
        if kind == "all_to_all":
            # Both parts move at once, each its share of the destinations.
            share = (local - 1) / (ranks - 1)
            near = max((piece.s_per_byte for piece in inside), default=0.0) * share
            far = outside.s_per_byte
            return (self._piece(outside.t0_s, max(near, far), far),)
        if not inside:
            return (outside,)
        far = outside.s_per_byte
        return tuple(
            self._piece(piece.t0_s + outside.t0_s, piece.s_per_byte + far, far) for piece in inside
        )

    def measured(self, kind: str, ranks: int) -> tuple[Piece, ...]:
        """Return the pieces of ``kind`` if they were measured over ``ranks`` in one domain."""
        if ranks > self._links.devices_per_domain:
            return ()
        return self._known(kind, ranks)

    def measured_near(self, kind: str, ranks: int) -> tuple[int, tuple[Piece, ...]]:
        """Return the nearest group size over which ``kind`` was measured, and its pieces."""
        for near in sorted(_GROUPS, key=lambda size: abs(log2(size / ranks))):
            pieces = self.measured(kind, near)
            if pieces:
                return near, pieces
        return 0, ()

    def exchange(
        self, direction: str, routing: Routing, ranks: int, sharing: int
    ) -> tuple[Piece, ...]:
        """Return both ways to exchange tokens with experts over nodes; () inside one node.

        ``ranks`` hold different experts, each rank being ``sharing`` devices that cut them.

        Raises
        ------
        ScenarioError
            If the network is not stated.
        """
        if ranks * sharing <= self._links.devices_per_domain:
            return ()
        local, wire = max(1, self._links.devices_per_domain // sharing), self._wire()
        return exchange_pieces(
            direction,
            routing,
            ranks,
            local,
            scale_up_bytes_per_s=min(wire.aggregate, wire.per_peer * max(1, local - 1)),
            line_bytes_per_s=self._line(ranks * sharing),
            latency_s=self._links.network_latency_s,
        )

    def stage_link(self, layout: Layout) -> tuple[Piece, ...]:
        """Return what sends a hidden row to the next pipeline stage, inside or across nodes."""
        if layout.devices <= self._links.devices_per_domain:
            return (self._derived("p2p", 2),)
        return (self._outside("p2p", 2, 1),)

    def _inside(self, kind: str, ranks: int) -> tuple[Piece, ...]:
        if kind == "all_to_all":
            # Tables of the plain collective are not what expert exchanges run.
            return (self._derived(kind, ranks),)
        known = self._known(kind, ranks)
        if known:
            return known
        made = self._derived(kind, ranks)
        for near in (8, 4, 2):
            # A measured neighbour tells how far this device is from the formula.
            table = self._known(kind, near)
            if table:
                base = self._derived(kind, near)
                return tuple(
                    Piece(
                        t0_s=made.t0_s * piece.t0_s / base.t0_s,
                        s_per_byte=made.s_per_byte * piece.s_per_byte / base.s_per_byte,
                        grade="transferred",
                        source=f"{piece.source}, scaled from {near} devices",
                    )
                    for piece in table
                )
        return (made,)

    def _known(self, kind: str, ranks: int) -> tuple[Piece, ...]:
        """Return measured pieces; those of a relative at this device's nominal link.

        Links of another kind (NVLink, PCIe) say nothing about this device's, so that nothing is
        taken from a relative that is joined otherwise.
        """
        pieces, name = self._calibration.collective(kind, ranks), ""
        if pieces:
            name = self._calibration.lender(kind, ranks)
        if not name:
            return pieces
        lender = get_accelerator(name)
        there, here = _wire_of(lender), self._wire()
        if there.kind != here.kind:
            return ()
        if kind.startswith("moe_") and _is_rack(lender) != _is_rack(self._device):
            # Kernels that share the memory of a rack are others than those of a board.
            return ()
        ratio = there.aggregate / here.aggregate
        return tuple(replace(piece, s_per_byte=piece.s_per_byte * ratio) for piece in pieces)

    def _piece(self, t0_s: float, s_per_byte: float, network_s_per_byte: float = 0.0) -> Piece:
        return Piece(
            t0_s=t0_s,
            s_per_byte=s_per_byte,
            source=_SOURCE,
            network_s_per_byte=network_s_per_byte,
        )

    def _crossing(self, t0_s: float, s_per_byte: float) -> Piece:
        """Return a piece that lies on the network alone."""
        return self._piece(t0_s, s_per_byte, s_per_byte)

    def _derived(self, kind: str, ranks: int) -> Piece:
        wire = self._wire()
        scale = self._calibration.collective_scale.get(kind, 1.0)
        floor = _FLOOR_S[wire.kind] + _HOP_S * log2(ranks)
        if kind == "all_to_all":
            floor += _EXCHANGE_FLOOR_S
        return self._piece(floor * scale, self._slope(kind, ranks, wire) * scale)

    def _slope(self, kind: str, ranks: int, wire: Wire) -> float:
        reach = min(wire.aggregate, wire.per_peer * (ranks - 1))
        if kind == "p2p":
            return 1.0 / (_rate_of(wire.kind, 2) * wire.per_peer)
        if kind == "all_to_all":
            part = _EXCHANGE if wire.kind != "pcie" else 0.5 * _rate_of("pcie", ranks)
            return 1.0 / (part * reach)
        rounds = 2.0 if kind == "all_reduce" else 1.0
        if wire.kind == "mesh":
            return rounds / (ranks * wire.per_peer * _MESH)
        if wire.kind == "pcie":
            # The measured law is of the message, all rounds of an all-reduce included.
            return 0.5 * rounds / (_rate_of("pcie", ranks) * reach)
        return rounds * (ranks - 1) / ranks / (_SWITCHED * reach)

    def _line(self, ranks: int) -> float:
        """Return the line rate of a device's NICs."""
        rate = self._links.network_bytes_per_s
        if not rate:
            raise ScenarioError(
                Problem(
                    f"a group of {ranks} devices exceeds one scale-up domain of "
                    f"{self._links.devices_per_domain}; state the network that joins the nodes"
                )
            )
        return rate

    def _outside(self, kind: str, ranks: int, local: int) -> Piece:
        rate = self._line(ranks)
        nodes = ceil(ranks / local)
        floor = _NETWORK_FLOOR_S + 2.0 * log2(nodes) * self._links.network_latency_s
        if kind == "p2p":
            return self._crossing(floor, 1.0 / (NETWORK_RATIO * rate))
        if kind == "all_to_all":
            share = (ranks - local) / (ranks - 1)
            return self._crossing(floor + _EXCHANGE_FLOOR_S, share / (NETWORK_RATIO * rate))
        rounds = 2.0 if kind == "all_reduce" else 1.0
        return self._crossing(floor, rounds * (nodes - 1) / nodes / local / (NETWORK_RATIO * rate))

    def _wire(self) -> Wire:
        """Return the scale-up link, or the host link where there is none."""
        return _wire_of(self._device)


def measured_pieces(
    accelerator: Accelerator, calibration: Calibration, kind: str, ranks: int
) -> tuple[Piece, ...]:
    """Return what runs as ``kind`` over ``ranks`` devices of one scale-up domain."""
    group = Collectives(accelerator, calibration, GroupLinks(devices_per_domain=ranks))
    return group.measured(kind, ranks) if kind.startswith("moe_") else group.pieces(kind, ranks)


def _wire_of(device: Accelerator) -> Wire:
    up = device.scale_up
    if up.topology in ("none", "unknown") or not up.aggregate_bytes_per_s:
        host = device.require("host_bytes_per_s", "tensor parallelism over PCIe")
        return Wire("pcie", host, host)
    per_peer = up.per_peer_bytes_per_s or up.aggregate_bytes_per_s
    return Wire(up.topology, up.aggregate_bytes_per_s, per_peer)


def _is_rack(device: Accelerator) -> bool:
    return (device.scale_up.domain or 1) > _BOARD


def _rate_of(kind: str, ranks: int) -> float:
    if kind == "pcie":
        return float(_PCIE * (2.0 / ranks) ** 0.7)
    return _MESH if kind == "mesh" else _SWITCHED
