"""What the fabric has moved and is moving: questions, counters and the laws they obey."""

from __future__ import annotations

from hetsim.engine._bundles import Bundler
from hetsim.engine._clock import Engine
from hetsim.engine._flow import MOVING, Flow, LinkState
from hetsim.errors import InvariantViolated
from hetsim.topology import Network

__all__ = ["Ledger"]


class Ledger:
    """The books of a fabric: read by anyone, written by :class:`Fabric` alone."""

    def __init__(self, engine: Engine, network: Network) -> None:
        self.engine = engine
        self.network = network
        self.links = [LinkState(link.id, link.capacity_bytes_per_s) for link in network.links]
        self._bundler = Bundler(self.links)
        self.landed_bytes = 0.0
        self.lost_bytes = 0.0
        """Bytes that had moved of flows that were cancelled."""
        self._sent = 0.0
        self._active: dict[Flow, None] = {}

    def settle(self) -> None:
        """Bring the books up to this very moment (:class:`Fabric` does)."""

    @property
    def sent_bytes(self) -> float:
        """Bytes that have left their sources."""
        self.settle()
        now = self.engine._now
        return self._sent + sum(
            flow.left_bytes - (flow.nbytes - flow.moved_bytes(now))
            for flow in self._active
            if flow.state == MOVING
        )

    @property
    def in_flight_bytes(self) -> float:
        """Bytes that have left their sources and are neither landed nor lost."""
        self.settle()
        now = self.engine._now
        return sum(flow.moved_bytes(now) for flow in self._active)

    @property
    def flows(self) -> tuple[Flow, ...]:
        """Flows that move or land, in the order of their start."""
        self.settle()
        return tuple(self._active)

    def link_rate_bytes_per_s(self, link_id: int) -> float:
        """Return what a link carries at this moment."""
        self.settle()
        users = self.links[link_id].bundle.users
        return sum(share * flow.rate_bytes_per_s for flow, share in users.items())

    def fair_share_bytes_per_s(self, link_id: int) -> float:
        """Return the rate that one more unlimited flow would get from this link alone.

        The larger of what is left and an even split: for collectives that use the link.
        """
        link = self.links[link_id]
        left = link.capacity - self.link_rate_bytes_per_s(link_id)
        return max(left, link.capacity / (len(link.bundle.users) + 1))

    def carried_bytes(self, link_id: int) -> float:
        """Return the bytes that a link has carried so far."""
        self.settle()
        bundle, now = self.links[link_id].bundle, self.engine._now
        moving = sum(share * flow.moved_bytes(now) for flow, share in bundle.users.items())
        return bundle.carried + moving

    def busy_s(self, link_id: int) -> float:
        """Return for how long a link has had at least one flow."""
        self.settle()
        bundle = self.links[link_id].bundle
        return bundle.busy_s + (self.engine._now - bundle.busy_since_s if bundle.users else 0.0)

    def check(self) -> None:
        """Assert L3 (sent = landed + in flight + lost) and that no link yields more than it has.

        Raises
        ------
        InvariantViolated
            With the flows of the link, or the four sums.
        """
        sent, flying = self.sent_bytes, self.in_flight_bytes
        gap = sent - (self.landed_bytes + flying + self.lost_bytes)
        if abs(gap) > 1e-9 * sent + 1e-6:
            detail = f"sent {sent!r} B, landed {self.landed_bytes!r}, in flight {flying!r}, lost"
            raise InvariantViolated(
                "L3", f"{detail} {self.lost_bytes!r}: {gap!r} B unaccounted for"
            )
        for link in self.links:
            rate = self.link_rate_bytes_per_s(link.id)
            if rate > link.capacity * (1.0 + 1e-9):
                name = self.network.links[link.id].name
                raise InvariantViolated(
                    "L9",
                    f"link {name} carries {rate!r} B/s of {link.capacity!r}",
                    [repr(flow) for flow in link.bundle.users],
                )
