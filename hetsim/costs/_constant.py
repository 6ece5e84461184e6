"""Constant step times: not a device, but what closed forms of queues are checked against."""

from __future__ import annotations

from collections.abc import Sequence

from hetsim.costs._types import DecodePoint, RankLoad, RanksPoint, StepCost

__all__ = ["ConstantModel"]


class ConstantModel:
    """A step with prompts takes ``prefill_s``, a decode step ``decode_s``, whatever is in it.

    *Valid for:* checks of the engine against M/M/1, M/D/1 and M/M/c. It has no FLOPs and no bytes.
    """

    dp = 1
    windows: tuple[int | None, ...] = (None,)

    def __init__(self, prefill_s: float, decode_s: float) -> None:
        self.prefill_s = prefill_s
        self.decode_s = decode_s
        self._point = DecodePoint(decode_s, (0.0,), 0.0, (0.0,), 0.0, (0.0,), "host")

    def decode(self, batch: int) -> DecodePoint:
        """Return the constant decode step."""
        return self._point

    def decode_ranks(self, batches: tuple[int, ...]) -> RanksPoint:
        """Return the constant decode step for every rank."""
        return RanksPoint(0.0, tuple(self._point for _ in batches), 0.0, 0.0)

    def step(
        self, chunks: Sequence[tuple[int, int]], batch: int, context_sums: Sequence[float]
    ) -> StepCost:
        """Return the constant step with prompts; decodes that ride along cost their own step."""
        return StepCost(self.prefill_s + (self.decode_s if batch else 0.0), 0.0, 0.0, "host")

    def step_ranks(self, loads: Sequence[RankLoad]) -> StepCost:
        """Return the same for ranks in lockstep."""
        return StepCost(self.prefill_s + self.decode_s, 0.0, 0.0, "host")
