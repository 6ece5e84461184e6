"""A decode pool that looks for requests once in so many of its steps."""

from __future__ import annotations

from collections.abc import Callable

from hetsim.engine import Engine, Wake
from hetsim.serving import Seq
from hetsim.stages._pool import PoolStage

__all__ = ["Cadence"]


class Cadence:
    """Holds a request that arrives for some decode steps before anything begins.

    Published disaggregated deployments show it: the time to the first token grows with the decode
    step, not with the prompt. Requests pass the loop of the decode instance, which is busy with its
    steps, before they are prefilled.
    """

    def __init__(
        self, engine: Engine, pool: PoolStage, steps: float, submit: Callable[[Seq], None]
    ) -> None:
        self.engine = engine
        self.pool = pool
        self.steps = steps
        self._submit = submit

    def submit(self, seq: Seq) -> None:
        """Let a request in later."""
        now = self.engine._now
        self.engine.put(Wake(self._enter, seq), now + self.steps * self.step_s(seq))

    def _enter(self, wake: Wake) -> None:
        if not wake.owner.gone:
            self._submit(wake.owner)

    def step_s(self, seq: Seq) -> float:
        """Return how long a decode step takes now; where nobody decodes, that of ``seq`` alone."""
        longest = 0.0
        for instance in self.pool.alive:
            segment = instance.segment  # ``instance.step_s``, without the call where it decodes
            step_s = segment.first_s if segment is not None else instance.step_s
            if step_s > longest:
                longest = step_s
        if longest > 0.0:
            return longest
        point = self.pool.plan.model.decode(1)
        return float(point[0] + sum(rate * seq.isl for rate in point[1]))
