"""What a fault did: who was touched, what was lost, how long until all was well again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["FAULT_COLUMNS", "FaultRecord", "Prices", "report"]

FAULT_COLUMNS = (
    "fault", "kind", "class", "at_s", "strokes", "touched", "blast_radius", "failed", "recovered",
    "lost_requests", "lost_goodput_req_s", "lost_prefill_tokens", "lost_decode_tokens",
    "wasted_gpu_s", "down_s", "time_to_recover_s", "lost_bytes", "refused_stale", "leak_page_s",
    "ok_corrupt",
)  # fmt: skip
"""Columns of the table of faults, in order."""

NAN = float("nan")


class FaultRecord:
    """The account of one fault of the scenario, over all its strokes."""

    __slots__ = (
        "at_s", "back_s", "corrupt", "down_gpu_s", "down_s", "failed", "group", "index", "kind",
        "leak_page_s", "lost_bytes", "lost_decode", "lost_prefill", "open", "recovered",
        "refused", "strokes", "touched",
    )  # fmt: skip

    def __init__(self, index: int, kind: str, group: str) -> None:
        self.index = index
        self.kind = kind
        self.group = group
        self.at_s = NAN
        """First stroke; NaN = it never struck."""
        self.strokes = 0
        self.touched: dict[int, float] = {}
        """Requests that lost state, time or bytes by it, and when they ended (NaN = they did
        not)."""
        self.failed: dict[int, None] = {}
        self.recovered: dict[int, None] = {}
        """Requests that failed by it and were served in a later attempt."""
        self.corrupt: dict[int, None] = {}
        self.lost_prefill: dict[str, int] = {}
        """Prompt tokens computed in vain, by pool."""
        self.lost_decode: dict[str, int] = {}
        self.lost_bytes = 0.0
        self.down_s = 0.0
        self.down_gpu_s = 0.0
        self.back_s = NAN
        """When the broken part was last back."""
        self.open = 0
        """Parts that are broken and not back."""
        self.refused = 0
        """Messages and transfers of an earlier incarnation that were refused."""
        self.leak_page_s = 0.0

    def strike(self, now: float) -> None:
        """Count a stroke."""
        self.strokes += 1
        if self.at_s != self.at_s:
            self.at_s = now

    def touch(self, rid: int) -> None:
        """Count a request among those that the fault reached."""
        self.touched.setdefault(rid, NAN)

    def lose(self, book: dict[str, int], pool: str, tokens: int) -> None:
        """Count tokens that were computed in vain in ``pool``."""
        if tokens > 0:
            book[pool] = book.get(pool, 0) + tokens

    def down(self, seconds: float, devices: int, now: float) -> None:
        """Count the time that a part was away, which ends now."""
        self.down_s += seconds
        self.down_gpu_s += seconds * devices
        self.back_s = now


@dataclass(frozen=True, slots=True)
class Prices:
    """Device-seconds of a token, by pool: prompt tokens and output tokens."""

    prefill: Mapping[str, float]
    decode: Mapping[str, float]


def report(
    records: Iterable[FaultRecord], good: frozenset[int], prices: Prices, seconds: float
) -> list[dict[str, Any]]:
    """Return one row per fault.

    ``good``: requests that met every objective; a touched request that is not among them is lost.
    ``seconds``: length of the run, for the goodput. Wasted device-seconds are tokens computed in
    vain at the pool's mean price of a token, and the time that devices were away. The time to
    recover ends when the last touched request has ended and the broken part is back; it is NaN
    where that never came.
    """
    rows = []
    for record in records:
        lost = [rid for rid in record.touched if rid not in good]
        rows.append(
            {
                "fault": record.index,
                "kind": record.kind,
                "class": record.group,
                "at_s": record.at_s,
                "strokes": record.strokes,
                "touched": len(record.touched),
                "blast_radius": len(record.touched) / record.strokes if record.strokes else 0.0,
                "failed": len(record.failed),
                "recovered": len(record.recovered),
                "lost_requests": len(lost),
                "lost_goodput_req_s": len(lost) / seconds if seconds > 0 else 0.0,
                "lost_prefill_tokens": sum(record.lost_prefill.values()),
                "lost_decode_tokens": sum(record.lost_decode.values()),
                "wasted_gpu_s": record.down_gpu_s
                + _spent(record.lost_prefill, prices.prefill)
                + _spent(record.lost_decode, prices.decode),
                "down_s": NAN if record.open else record.down_s,
                "time_to_recover_s": _recovery_s(record),
                "lost_bytes": record.lost_bytes,
                "refused_stale": record.refused,
                "leak_page_s": record.leak_page_s,
                "ok_corrupt": len(record.corrupt),
            }
        )
    return rows


def _spent(tokens: Mapping[str, int], price: Mapping[str, float]) -> float:
    return sum(count * price.get(pool, 0.0) for pool, count in sorted(tokens.items()))


def _recovery_s(record: FaultRecord) -> float:
    if not record.strokes:
        return 0.0
    ends = [*record.touched.values()]
    if record.open or any(end != end for end in ends):
        return NAN
    if record.back_s == record.back_s:
        ends.append(record.back_s)
    return max(0.0, max(ends, default=record.at_s) - record.at_s)
