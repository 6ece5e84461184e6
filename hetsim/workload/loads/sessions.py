"""Conversations that start at random and go on for several turns, each repeating the history."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from hetsim.errors import ScenarioError
from hetsim.spec import spec
from hetsim.workload._history import csr_ids
from hetsim.workload._streams import stream
from hetsim.workload._table import MAX_TOKENS, RequestTable
from hetsim.workload._transform import warm_up
from hetsim.workload._types import Count, Positive, RequestsPerSecond, Seconds, Tokens, refuse
from hetsim.workload._workload import Workload
from hetsim.workload.lengths import LengthLaw, Lengths

__all__ = ["Sessions"]

_Ints = npt.NDArray[np.int64]

_LEAD_IN = 5
"""Mean session lengths that pass before the table starts; by then the rate has settled to 1 %."""


class _Turns(NamedTuple):
    """All turns of some sessions, one session after the other."""

    arrival_s: npt.NDArray[np.float64]
    isl: _Ints
    osl: _Ints
    session: _Ints


@spec(kind="sessions", family="workload")
class Sessions:
    """Open-loop conversations, ``rate`` requests per second in the long run.

    Sessions start as a Poisson process at rate / turns. Each has ``turns`` turns (a mean,
    geometric from 1 on, or with ``turns_law: fixed`` a whole number), ``gap`` apart on average
    from arrival to arrival (exponential). ``input`` gives the new tokens of a turn; before them
    come ``shared_prefix`` tokens that all sessions share and all that was said in the session.

    The table is cut out of a process that has been going on for five session lengths, so that the
    rate is right from the start; sessions under way bring their history, which no cache holds yet.
    Lengths belong to the position of the turn among all turns of all sessions.
    """

    kind: Literal["sessions"] = "sessions"
    rate: RequestsPerSecond
    """Requests (turns, not sessions) per second in the long run."""
    requests: Count
    """How many requests in all."""
    turns: Positive
    """Mean turns of a session."""
    turns_law: Literal["geometric", "fixed"] = "geometric"
    """How numbers of turns are spread around their mean."""
    gap: Seconds
    """Mean time from one arrival of a session to its next."""
    input: Lengths
    """New tokens of a turn."""
    output: Lengths
    """Answer lengths, in tokens."""
    shared_prefix: int = 0
    """Tokens that begin every prompt of everybody (a system prompt)."""
    block_tokens: Tokens = 64
    """Tokens of one block in which shared prefixes are told apart."""
    warmup: Seconds = 0.0
    """Requests that arrive earlier are simulated, but not measured."""

    def __post_init__(self) -> None:
        whole = self.turns_law == "geometric" or self.turns == int(self.turns)
        refuse(
            (self.turns < 1, f"turns must be at least 1, not {self.turns:g}"),
            (not whole, f"fixed turns must be a whole number, not {self.turns:g}"),
            (self.shared_prefix < 0, f"shared_prefix must be 0 or more: {self.shared_prefix}"),
        )

    def build(self, seed: int, base_dir: Path) -> Workload:
        """Return the table."""
        laws = (self.input.resolve(base_dir), self.output.resolve(base_dir))
        table = self._table(self._first(seed, laws), seed)
        return Workload("sessions", table=warm_up(table, self.warmup) if self.warmup else table)

    def _first(self, seed: int, laws: tuple[LengthLaw, LengthLaw]) -> _Turns:
        """Return the first ``requests`` turns in order of arrival.

        Sessions that start after the last of them cannot matter; so their number is doubled until
        enough turns arrive before the last session starts.
        """
        cut_s = _LEAD_IN * (self.turns - 1) * self.gap
        sessions = max(16, math.ceil((2 * self.requests + cut_s * self.rate) / self.turns))
        while True:
            turns, last_start_s = self._turns(sessions, seed, laws)
            order = np.argsort(turns.arrival_s, kind="stable")
            order = order[turns.arrival_s[order] >= cut_s][: self.requests]
            times = turns.arrival_s[order]
            if len(order) == self.requests and times[-1] <= last_start_s:
                return _Turns(times - cut_s, turns.isl[order], turns.osl[order], turns[3][order])
            sessions *= 2

    def _turns(
        self, sessions: int, seed: int, laws: tuple[LengthLaw, LengthLaw]
    ) -> tuple[_Turns, float]:
        starts_s = np.cumsum(stream(seed, "sessions.starts").standard_exponential(sessions))
        starts_s *= self.turns / self.rate
        counts = self._counts(stream(seed, "sessions.turns").random(sessions))
        session = np.repeat(np.arange(sessions), counts)
        u = stream(seed, "sessions.lengths").random((len(session), 3))
        first = np.concatenate(([0], np.cumsum(counts)[:-1]))
        gaps = -np.log1p(-u[:, 2]) * self.gap
        gaps[first] = 0.0
        new, osl = laws[0].quantile(u[:, 0]), laws[1].quantile(u[:, 1])
        isl = self.shared_prefix + _running(new + osl, first, counts) - osl
        turns = _Turns(starts_s[session] + _running(gaps, first, counts), isl, osl, session)
        return turns, float(starts_s[-1])

    def _counts(self, u: npt.NDArray[np.float64]) -> _Ints:
        if self.turns_law == "fixed" or self.turns == 1:
            return np.full(len(u), int(self.turns), dtype=np.int64)
        return 1 + np.floor(np.log1p(-u) / math.log1p(-1.0 / self.turns)).astype(np.int64)

    def _table(self, turns: _Turns, seed: int) -> RequestTable:
        longest = int(turns.isl.max())
        if longest > MAX_TOKENS:
            raise ScenarioError(f"sessions grow to {longest} tokens; at most {MAX_TOKENS}")
        offsets, ids = csr_ids(turns.session, turns.isl, self.shared_prefix, self.block_tokens)
        return RequestTable(
            turns.arrival_s,
            turns.isl,
            turns.osl,
            session=turns.session,
            hash_offsets=offsets,
            hash_ids=ids,
            hash_block_tokens=self.block_tokens,
            source=f"sessions, seed {seed}",
        )


def _running(values: npt.NDArray[Any], first: _Ints, counts: _Ints) -> npt.NDArray[Any]:
    """Return running sums that start afresh at every ``first``."""
    total = np.cumsum(values)
    before = np.repeat(total[first] - values[first], counts)
    running: npt.NDArray[Any] = total - before
    return running
