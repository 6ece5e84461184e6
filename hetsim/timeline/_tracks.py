"""What of a run becomes a slice, a counter or an arrow."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import numpy as np

from hetsim.run import Result
from hetsim.timeline._lanes import lanes_of
from hetsim.timeline._trace import Place, Trace, nanoseconds

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Tracks"]

_STAGES = (
    ("overhead_s", "overhead"), ("credit_s", "wait for blocks on D"), ("queue_s", "queue"),
    ("prefill_s", "prefill"), ("hold_s", "hold"), ("transfer_s", "transfer"),
    ("convert_s", "convert"), ("admit_s", "wait for admission"), ("decode_s", "decode"),
)  # fmt: skip
_OWN_TRACKS = 2_000
"""Requests that get a track each; more share tracks."""
_SETS = {"Ps": "blocks on P", "Ds": "blocks on D", "X": "blocks in transit"}


class Tracks:
    """Fills a :class:`Trace` from the tables of a run."""

    def __init__(self, result: Result, most: int) -> None:
        self.result = result
        self.pools = [str(name) for name in result.summary["stages"]]
        requests = result.requests
        self.requests = requests[requests["request_id"] < most].sort_values("request_id")
        self.whole = len(self.requests) == len(requests)
        self.until_s = float("inf") if self.whole else _last(self.requests)
        self.trace = Trace()
        #: By instance: starts and ends of its slices, and their tracks, in the order of starts.
        self._steps: dict[str, tuple[list[int], list[int], list[tuple[int, int]]]] = {}
        #: By request: its hand-off as (pid, tid, start).
        self._moved: dict[int, Place] = {}

    def made(self) -> Trace:
        """Return the trace, filled."""
        self._instances()
        self._links()
        self._ownership()
        self._request_tracks()
        self._arrows()
        return self.trace

    # -- instances -------------------------------------------------------------------------

    def _instances(self) -> None:
        steps = self.result.steps
        steps = steps[steps["start_s"] <= self.until_s]
        for pool in self.pools:
            pid = self.trace.process(f"pool {pool}")
            mine = steps[steps["pool"] == pool]
            for device in sorted(mine["device_id"].astype(str).unique(), key=_number):
                rows = mine[mine["device_id"] == device].sort_values(["start_s", "duration_s"])
                self._steps[device] = self._instance(pid, device, rows)
                blocks = zip(_ends(rows), rows["blocks_used"], strict=True)
                self.trace.levels(pid, f"{device} KV blocks", "blocks", sorted(blocks))
            self._queue(pid, pool)

    def _instance(self, pid: int, device: str, rows: pd.DataFrame) -> Any:
        starts, ends = _starts(rows), _ends(rows)
        lanes = lanes_of(starts, ends)
        tids = [self.trace.thread(pid, _lane(device, k)) for k in range(max(lanes) + 1)]
        columns = ("steps", "batch_size", "prefill_tokens", "decode_tokens", "bound_by", "mfu")
        for start, end, lane, row in zip(starts, ends, lanes, _rows(rows[[*columns]]), strict=True):
            args = dict(zip(columns, map(_plain, row), strict=True))
            self.trace.slice(pid, tids[lane], _step_name(args), start, end, args)
        return starts, ends, [(pid, tids[lane]) for lane in lanes]

    def _queue(self, pid: int, pool: str) -> None:
        """Count who waits in front of a pool: for its prefill, or for its decode."""
        table = self.requests
        if pool == self.pools[0]:
            begin = table["prefill_start_s"] - table["queue_s"]
            end = table["prefill_start_s"]
        else:
            begin = table["decode_start_s"] - table["admit_s"]
            end = table["decode_start_s"]
        changes = [(nanoseconds(at), 1.0) for at in begin[end.notna() & begin.notna()]]
        changes += [(nanoseconds(at), -1.0) for at in end[end.notna() & begin.notna()]]
        self.trace.counter(pid, f"{pool} queue", "requests", changes)

    # -- links -----------------------------------------------------------------------------

    def _links(self) -> None:
        moved = self.result.transfers
        moved = moved[(moved["start_s"] <= self.until_s) & (moved["duration_s"] > 0)]
        if not len(moved):
            return
        pid = self.trace.process("links")
        pairs = moved.groupby(["source_instance", "target_instance", "kind"], observed=True)
        for (source, target, kind), rows in pairs:
            rows = rows.sort_values(["start_s", "request_id"])
            label = f"{kind} {self.pools[0]}/{source} to {self.pools[-1]}/{target}"
            self._pair(pid, label, rows)
        rate = moved["bytes"] / moved["duration_s"] / 1e9
        changes = list(zip(_starts(moved), rate, strict=True))
        changes += list(zip(_ends(moved), -rate, strict=True))
        self.trace.counter(pid, "KV on all links", "GB/s", changes)

    def _pair(self, pid: int, label: str, rows: pd.DataFrame) -> None:
        starts, ends = _starts(rows), _ends(rows)
        lanes = lanes_of(starts, ends)
        tids = [self.trace.thread(pid, _lane(label, k)) for k in range(max(lanes) + 1)]
        for start, end, lane, row in zip(starts, ends, lanes, _rows(rows), strict=True):
            args = {"bytes": row.bytes, "descriptors": row.descriptors, "pieces": row.pieces}
            number = int(row.request_id)
            self.trace.slice(pid, tids[lane], f"request {number}", start, end, args)
            if row.kind == "handoff":
                self._moved.setdefault(number, Place(pid, tids[lane], start))

    # -- ownership -------------------------------------------------------------------------

    def _ownership(self) -> None:
        table = self.result.ownership
        table = table[table["request_id"] <= self.requests["request_id"].max()]
        if not len(table):
            return
        pid = self.trace.process("KV ownership")
        sizes = self.result.transfers.groupby("request_id")["bytes"].sum()
        for block_set in _SETS:
            rows = table[table["block_set"] == block_set]
            if len(rows):
                self._owners(pid, _SETS[block_set], rows, sizes)

    def _owners(self, pid: int, name: str, rows: pd.DataFrame, sizes: Any) -> None:
        held = _held(rows, nanoseconds(max(_last(self.requests), float(rows["time_s"].max()))))
        if not held:
            return
        lanes = lanes_of([one[0] for one in held], [one[1] for one in held])
        tids = [self.trace.thread(pid, _lane(name, k)) for k in range(max(lanes) + 1)]
        changes: dict[str, list[tuple[int, float]]] = {}
        for (start, end, number, owner, state), lane in zip(held, lanes, strict=True):
            size = float(sizes.get(number, 0.0))
            self.trace.slice(
                pid, tids[lane], f"{owner}: {state}", start, end, {"request": number, "bytes": size}
            )
            changes.setdefault(owner, []).extend([(start, size / 1e9), (end, -size / 1e9)])
        for owner in sorted(changes):
            self.trace.counter(pid, f"{name}, owner {owner}", "GB", changes[owner])

    # -- requests --------------------------------------------------------------------------

    def _request_tracks(self) -> None:
        pid = self.trace.process("requests" if self.whole else "requests (the first ones)")
        rows = self.requests.sort_values(["arrival_s", "request_id"])
        edges = _edges(rows)
        starts, ends = edges[:, 0].tolist(), edges.max(axis=1).tolist()
        own = len(rows) <= _OWN_TRACKS
        lanes = list(range(len(rows))) if own else lanes_of(starts, ends)
        tids: dict[int, int] = {}
        for at, row in enumerate(_rows(rows)):
            lane = lanes[at]
            if lane not in tids:
                name = f"request {row.request_id}" if own else f"lane {lane}"
                tids[lane] = self.trace.thread(pid, name)
            self._request(pid, tids[lane], row, edges[at].tolist())

    def _request(self, pid: int, tid: int, row: Any, edges: list[int]) -> None:
        label = f"request {row.request_id}, {row.isl_tokens} in, {row.output_tokens} out"
        args = {"status": row.status, "reason": row.reason, "corrupt": bool(row.corrupt)}
        if max(edges) <= edges[0]:
            self.trace.instant(pid, tid, f"{label}: {row.status} {row.reason}".rstrip(), edges[0])
            return
        self.trace.slice(pid, tid, label, edges[0], max(edges), args)
        for (_, name), start, end in zip(_STAGES, edges, edges[1:], strict=False):
            self.trace.slice(pid, tid, name, start, end)

    # -- arrows ----------------------------------------------------------------------------

    def _arrows(self) -> None:
        """Lead from the prefill of every request through its transfer to its decode."""
        columns = ["request_id", "prefill_instance", "prefill_end_s", "decode_instance"]
        for row in _rows(self.requests[[*columns, "decode_start_s"]]):
            number = int(row.request_id)
            moved = self._moved.get(number)
            if moved is None or np.isnan(row.prefill_end_s) or np.isnan(row.decode_start_s):
                continue
            device = f"{self.pools[0]}/{row.prefill_instance}"
            start = self._within(device, row.prefill_end_s, last=True)
            device = f"{self.pools[-1]}/{row.decode_instance}"
            end = self._within(device, row.decode_start_s)
            if start is not None and end is not None and start.at_ns <= moved.at_ns <= end.at_ns:
                self.trace.arrow(number, f"KV of request {number}", [start, moved, end])

    def _within(self, device: str, at_s: float, *, last: bool = False) -> Place | None:
        """Return a moment inside the step of an instance that runs at a time, or ends then."""
        starts, ends, tracks = self._steps.get(device, ([], [], []))
        at = nanoseconds(at_s)
        index = bisect_right(starts, at - 1 if last else at) - 1
        if index < 0 or not starts[index] <= at <= ends[index]:
            return None
        return Place(*tracks[index], starts[index] if last else min(at, ends[index] - 1))


def _rows(table: pd.DataFrame) -> Any:
    return table.itertuples(index=False)


def _number(device: str) -> int:
    return int(device.rpartition("/")[2])


def _starts(rows: pd.DataFrame) -> list[int]:
    return [nanoseconds(at) for at in rows["start_s"]]


def _ends(rows: pd.DataFrame) -> list[int]:
    return [nanoseconds(at) for at in rows["start_s"] + rows["duration_s"]]


def _last(requests: pd.DataFrame) -> float:
    ends = np.fmax(requests["last_token_s"], requests["arrival_s"])
    return float(ends.max()) if len(ends) else 0.0


def _lane(name: str, lane: int) -> str:
    return name if lane == 0 else f"{name} ({lane + 1})"


def _step_name(args: dict[str, Any]) -> str:
    if args["decode_tokens"] == 0:
        return f"prefill {args['prefill_tokens']} tok"
    if args["prefill_tokens"] == 0:
        return f"decode {args['steps']} x {args['batch_size']}"
    return f"mixed {args['prefill_tokens']} + {args['decode_tokens']} tok"


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _edges(rows: pd.DataFrame) -> Any:
    """Return the times between stages, ``[requests, stages + 1]``; a missing stage has none."""
    parts = np.nan_to_num(rows[[name for name, _ in _STAGES]].to_numpy(float))
    moments = rows["arrival_s"].to_numpy(float)[:, None] + np.cumsum(
        np.concatenate([np.zeros((len(rows), 1)), np.maximum(parts, 0.0)], axis=1), axis=1
    )
    return np.rint(moments * 1e9).astype(np.int64)


def _held(rows: pd.DataFrame, end_ns: int) -> list[tuple[int, int, int, str, str]]:
    """Return (start, end, request, owner, state) of every time that somebody owns the blocks."""
    open_: dict[int, tuple[int, str, str]] = {}
    found: list[tuple[int, int, int, str, str]] = []
    for row in _rows(rows):
        at, number = nanoseconds(row.time_s), int(row.request_id)
        before = open_.pop(number, None)
        if before is not None and at > before[0]:
            found.append((before[0], at, number, before[1], before[2]))
        if row.owner:
            open_[number] = (at, str(row.owner), str(row.state_to))
    found += [(at, end_ns, n, owner, state) for n, (at, owner, state) in open_.items()]
    return sorted(one for one in found if one[1] > one[0])
