"""What an instance writes down: rows of steps, and the moments that a user sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetsim.metrics import pack_gap, pack_step
from hetsim.serving._rank import Rank
from hetsim.serving._segment import Segment
from hetsim.serving._seq import NAN, Seq
from hetsim.serving._state import BOUNDS, InstanceState

if TYPE_CHECKING:
    from hetsim.costs import DecodePoint, StepCost

__all__ = ["Books", "work_of"]

_BOUND = {name: code for code, name in enumerate(BOUNDS)}


class Books(InstanceState):
    """Writes rows; decides nothing."""

    __slots__ = ()

    def _end_segment(
        self,
        segment: Segment,
        now: float,
        batch: int,
        bound: str,
        work: tuple[float, float],
        free: int,
        total: int,
    ) -> None:
        """Write the row of a segment; ``work``: FLOPs and bytes, ``free`` and ``total``: blocks."""
        flops, nbytes = work
        steps = segment.limit
        start_s, first_s, slope_s = segment.start_s, segment.first_s, segment.slope_s
        if self._fresh:
            # Segment.at(1) and at(2), term by term.
            second_s = start_s + (2 * first_s + slope_s) if steps > 1 else NAN
            self._note_second(start_s + first_s, second_s)
        joined = len(self._joined)
        # Those who were in the batch before have waited since its last decode step.
        stall_s = start_s - self.last_decode_s if batch > joined else 0.0
        if joined:
            self._joined = []
        self.last_decode_s = now
        self.busy_s += now - start_s
        self.record(
            pack_step(
                self.pool_id, self.index, start_s, now - start_s, steps, batch, joined, stall_s,
                first_s, first_s + (steps - 1) * slope_s, 0, batch * steps, _BOUND[bound],
                flops, nbytes, total - free, total,
            )
        )  # fmt: skip

    def _mixed_row(
        self, now: float, prefill: int, batch: int, cost: StepCost, free: int, total: int
    ) -> None:
        """Write the row of a step with prompt chunks."""
        start_s = self._step_s
        duration_s = now - start_s
        joined = len(self._joined)
        stall_s = 0.0
        if batch:
            stall_s = start_s - self.last_decode_s if batch > joined else 0.0
            self.last_decode_s = now
            self._joined = []
        self.busy_s += duration_s
        _, flops, nbytes, bound = cost
        self.record(
            pack_step(
                self.pool_id, self.index, start_s, duration_s, 1, batch, joined, stall_s,
                duration_s, duration_s, prefill, batch, _BOUND[bound], flops, nbytes,
                total - free, total,
            )
        )  # fmt: skip

    def _note_join(self, seq: Seq, start_s: float, first_end_s: float) -> None:
        """Note the first decode step of ``seq`` (again), and the gap that its user sees."""
        if seq.decode_start_s != seq.decode_start_s:
            seq.decode_start_s = start_s
            seq.decode_instance = self.index
            if seq.first_s != seq.first_s:
                seq.first_s = first_end_s
            self._fresh.append(seq)
        if seq.last_s == seq.last_s:
            # After a preemption: the user has waited since the token before it.
            self._gap(pack_gap(seq.rid, first_end_s - seq.last_s))
            seq.last_s = NAN

    def _note_second(self, first_end_s: float, second_end_s: float) -> None:
        """Note when recently joined requests emit their second token."""
        later = []
        for seq in self._fresh:
            if seq.join_id == 0:
                continue
            if seq.first_s < first_end_s:
                seq.second_s = first_end_s
            elif second_end_s == second_end_s:
                seq.second_s = second_end_s
            else:
                later.append(seq)
        self._fresh = later


def work_of(point: DecodePoint, rank: Rank, steps: int) -> tuple[float, float]:
    """Return FLOPs and bytes of ``steps`` decode steps of a batch, in closed form."""
    _, _, flops_const, flops_slopes, bytes_const, bytes_slopes, _ = point
    flops, nbytes = flops_const * steps, bytes_const * steps
    pairs = 0.5 * steps * (steps - 1)
    if rank.plain:
        read = rank.sums[0] * steps + rank.grow[0] * pairs
        return flops + flops_slopes[0] * read, nbytes + bytes_slopes[0] * read
    for i, total in enumerate(rank.sums):
        read = total * steps + rank.grow[i] * pairs
        flops += flops_slopes[i] * read
        nbytes += bytes_slopes[i] * read
    return flops, nbytes
