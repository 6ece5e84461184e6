"""Instances whose collectives leave the node: their steps take what the network yields just then.

The rate of the links is read at step boundaries alone: a step keeps the rate that it began with,
and a segment ends at the next boundary after the rate has changed. In between, the instance asks
the network for the mean of what its collectives send, ``bytes of a step / seconds of a step``. Over
transfers that last many steps and fill a link, that is exact: a link that is shared in turns yields
the same in the end. Inside one segment the demand stays that of its first step, the shortest, which
is against the neighbours. A transfer that leaves part of its links idle is taken to fit between
the bursts, which favours it.

Everybody else has the plain classes, and pays nothing for this.
"""

from __future__ import annotations

from typing import Any, Protocol

from hetsim.serving._instance import Instance
from hetsim.serving._lockstep import Lockstep
from hetsim.serving._state import INFINITY

__all__ = ["CrossingInstance", "CrossingLockstep", "Port"]


class Port(Protocol):
    """The way of one instance to the network, as it sees it."""

    share: float
    """Of their full rate, what collectives reach while they run: at most 1."""

    def want(self, bytes_per_s: float) -> None:
        """Ask for a mean rate per device, from this moment on."""

    def carried(self, nbytes: float) -> None:
        """Count what each device has sent."""


class _Crossing(Instance):
    """Asks the network at every boundary at which something changes."""

    port: Port
    cuts: int
    _alone: Any
    _share: float
    _sent: float

    def plug(self, port: Port) -> None:
        """Connect the instance; done once, before it has work."""
        self.port = port
        self.cuts = 0
        """Segments that ended for a change of rate and nothing else."""
        self._alone = self.model
        self._share = 1.0
        self._sent = 0.0

    @property
    def stalled(self) -> bool:
        """Whether it waits for the network to come back."""
        return self._share == 0.0

    def _must_change(self, steps: int) -> bool:
        if super()._must_change(steps):
            return True
        if self.port.share == self._share:
            return False
        self.cuts += 1
        return True

    def _start(self, now: float) -> None:
        port = self.port
        share = port.share
        if share <= 0.0:
            # The links are down: no step can begin, and the port will wake us.
            self._share = 0.0
            self.next_s = INFINITY
            port.want(0.0)
            return
        if share != self._share:
            self._share = share
            self.model = self._alone.on_network(share)
        super()._start(now)
        if self.segment is not None:
            tokens = logits = self._decoding()
            step_s = self._segment.first_s
        elif self._step is not None:
            tokens = logits = self._decoding() if self._decode else 0
            for _, new in self._chunks:
                tokens += new
            logits += len(self._chunks)
            step_s = self.next_s - now
        else:
            port.want(0.0)
            return
        use = self._alone.network
        self._sent = sent = use.sent_bytes(tokens, logits)
        port.want(use.demand_bytes_per_s(sent, step_s))

    def _close(self, now: float) -> None:
        steps = self._segment.limit
        super()._close(now)
        self.port.carried(steps * self._sent)

    def _complete(self, now: float) -> None:
        super()._complete(now)
        self.port.carried(self._sent)

    def crash(self, now: float) -> None:
        super().crash(now)
        self.port.want(0.0)


class CrossingInstance(_Crossing):
    """One scheduler domain whose collectives leave the node."""


class CrossingLockstep(_Crossing, Lockstep):
    """Attention-DP ranks in lockstep whose collectives leave the node."""
