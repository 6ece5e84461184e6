"""Who holds which KV bytes when: all requests together, and a sample one by one.

A set of blocks is held from the moment it gets an owner until its owner is nobody. Bytes are those
of the request's hand-off; what decoding adds later is not in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hetsim.report._chart import (
    Figure,
    Line,
    Lines,
    Span,
    Spans,
    Table,
    si_scale,
    time_scale,
)
from hetsim.units import format_bytes, format_seconds

if TYPE_CHECKING:
    import pandas as pd

    from hetsim.run import Result

__all__ = ["Held", "held_frame", "held_totals", "ownership_figures", "sample"]

SAMPLE = 12
_BINS = 240
_SIDES = {"Ps": "prefill side", "Ds": "decode side", "X": "between"}
_NONE = "No KV changed hands: every request keeps its KV in one pool."


class Held(NamedTuple):
    """One owner's hold: ``start_s`` to ``end_s`` in seconds since the start of the run."""

    request_id: int
    side: str
    owner: str
    state: str
    start_s: float
    end_s: float
    bytes: float


def held_frame(result: Result, only: list[int] | None = None) -> pd.DataFrame:
    """Return one row per hold, with the columns of :class:`Held`."""
    moves = result.ownership
    if only is not None:
        moves = moves[moves["request_id"].isin(only)]
    moves = moves.assign(**{c: moves[c].astype(str) for c in ("block_set", "owner", "state_to")})
    # The log names the start of a prefill when it ends; the request knows when it began.
    began = moves["request_id"].map(_times(result, "prefill_start_s"))
    early = (moves["cause"].astype(str) == "prefill_started") & (began < moves["time_s"])
    moves = moves.assign(time_s=moves["time_s"].where(~early, began))
    moves = moves.sort_values(["request_id", "block_set"], kind="stable")
    groups = moves.groupby(["request_id", "block_set"], observed=True, sort=False)
    moves = moves.assign(
        end_s=groups["time_s"].shift(-1).fillna(float(result.summary["simulated_s"])),
        bytes=moves["request_id"].map(_bytes(result)).fillna(0.0),
        side=moves["block_set"].map(_SIDES).fillna(moves["block_set"]),
    )
    moves = moves[(moves["owner"] != "") & (moves["end_s"] > moves["time_s"])]
    renamed = moves.rename(columns={"time_s": "start_s", "state_to": "state"})
    return renamed[list(Held._fields)].reset_index(drop=True)


def _times(result: Result, column: str) -> pd.Series[float]:
    rows = result.requests
    return rows.set_index("request_id")[column]


def _bytes(result: Result) -> pd.Series[float]:
    moves = result.transfers
    handed = moves[moves["kind"].astype(str) == "handoff"]
    return handed.groupby("request_id")["bytes"].max()


def sample(result: Result) -> list[int]:
    """Return the requests to show: spread evenly from the fastest to the slowest."""
    rows = result.requests
    done = rows[(rows["status"] == "finished") & rows["measured"]]
    order = done.sort_values(["e2e_s", "request_id"], kind="stable")["request_id"].to_numpy()
    places = np.linspace(0, len(order) - 1, min(SAMPLE, len(order))).round().astype(int)
    return [int(order[i]) for i in places]


def ownership_figures(result: Result) -> list[Figure]:
    """Return the bytes that every owner holds over time, and a timeline of a sample."""
    return [_totals_figure(result), *_timelines(result)]


def held_totals(held: pd.DataFrame, end_s: float) -> tuple[Any, dict[str, Any]]:
    """Return moments, and for every owner the bytes it holds at each of them."""
    at = np.linspace(0.0, end_s, _BINS + 1)
    lines = {}
    for owner, part in held.groupby("owner", observed=True, sort=True):
        total = np.zeros(len(at))
        for sign, column in ((1.0, "start_s"), (-1.0, "end_s")):
            order = np.argsort(part[column].to_numpy(float), kind="stable")
            times = part[column].to_numpy(float)[order]
            sums = np.concatenate([[0.0], np.cumsum(part["bytes"].to_numpy(float)[order])])
            total += sign * sums[np.searchsorted(times, at, "right")]
        # What is left of a sum and its opposite is rounding, not bytes.
        lines[str(owner)] = np.maximum(total, 0.0).round()
    return at, lines


def _most(part: pd.DataFrame) -> float:
    """Return the most bytes held at once; what ends at a moment makes room for what begins."""
    times = np.concatenate([part["end_s"].to_numpy(float), part["start_s"].to_numpy(float)])
    size = part["bytes"].to_numpy(float)
    order = np.argsort(times, kind="stable")
    return float(np.concatenate([-size, size])[order].cumsum().max())


def _totals_figure(result: Result) -> Figure:
    title, columns = "KV bytes by owner over time", ("owner", "mean", "most", "byte-seconds")
    held = held_frame(result)
    if held.empty:
        return Figure("held_bytes", title, _NONE, None, Table(columns, []))
    end = float(result.summary["simulated_s"])
    at, lines = held_totals(held, end)
    area = (held["bytes"] * (held["end_s"] - held["start_s"])).groupby(held["owner"]).sum()
    size, prefix = si_scale(max(float(values.max()) for values in lines.values()))
    chart = Lines(
        "time (s)",
        f"KV held ({prefix}B)",
        [Line(name, at, values / size) for name, values in lines.items()],
        x_end=end,
    )
    rows = [
        (
            name,
            format_bytes(float(area[name]) / max(end, 1e-30)),
            format_bytes(_most(held[held["owner"] == name])),
            f"{format_bytes(float(area[name]))} s",
        )
        for name, values in lines.items()
    ]
    says = (
        "Bytes of every hand-off, counted for whoever may write or free them at the moment. The "
        f"lines show {_BINS + 1} moments; the table counts every hold, however short."
    )
    return Figure("held_bytes", title, says, chart, Table(columns, rows))


def _timelines(result: Result) -> list[Figure]:
    """Return the hand-offs of a sample, and the same requests from arrival to end."""
    columns = ("request", "side, owner", "bytes", "held")
    chosen = sample(result)
    held = held_frame(result, chosen)
    title, near = "Ownership timeline of a sample", "The same sample around the hand-off"
    if held.empty:
        return [Figure("ownership", title, _NONE, None, Table(columns, []))]
    place = {request: rank for rank, request in enumerate(chosen)}
    holds = [Held(*row) for row in held.itertuples(index=False, name=None)]
    holds.sort(key=lambda one: (place[one.request_id], one.start_s, one.end_s))
    rows = [
        (
            f"{one.request_id}",
            f"{one.side}, {one.owner} ({one.state})",
            format_bytes(one.bytes),
            format_seconds(one.end_s - one.start_s),
        )
        for one in holds
    ]
    says = (
        f"{len(chosen)} requests, evenly from the fastest to the slowest, a row for each side. "
        "Where both sides hold, the KV exists twice."
    )
    arrival_s = _times(result, "arrival_s")
    arrival = {request: float(arrival_s[request]) for request in chosen}
    whole = _spans(holds, arrival, None, "time since arrival")
    first = {one.request_id: one.start_s for one in reversed(holds)}
    # The last hold of a request is its decoding: what comes before is the hand-off.
    last = {one.request_id: one for one in holds}
    ends = [one.end_s - first[one.request_id] for one in holds if one is not last[one.request_id]]
    close = _spans(holds, first, 1.1 * max(ends, default=0.0) or None, "time since the first hold")
    cut = "Long holds are cut at the right edge; the table above has their whole length."
    return [
        Figure("ownership", title, says, whole, Table(columns, rows, left=2)),
        Figure("handoff", near, cut, close, _handoff_table(holds)),
    ]


def _spans(
    holds: list[Held], zero_s: Mapping[int, float], cut_s: float | None, label: str
) -> Spans:
    longest = max(one.end_s - zero_s[one.request_id] for one in holds)
    limit = longest if cut_s is None else min(cut_s, longest)
    factor, unit = time_scale(limit)
    spans = []
    for one in holds:
        start, end = one.start_s - zero_s[one.request_id], one.end_s - zero_s[one.request_id]
        if start >= limit:
            continue
        text = (
            f"request {one.request_id}: {one.owner} holds {format_bytes(one.bytes)} on the "
            f"{one.side} ({one.state}) for {format_seconds(end - start)}, "
            f"from {format_seconds(start)}"
        )
        row = f"{one.request_id} {one.side.removesuffix(' side')}"
        group = f"{one.owner}: {one.state}"
        spans.append(Span(row, start * factor, min(end, limit) * factor, group, text))
    return Spans(f"{label} ({unit})", list(dict.fromkeys(span.row for span in spans)), spans)


def _handoff_table(holds: list[Held]) -> Table:
    took: dict[str, list[float]] = {}
    for one in holds:
        took.setdefault(f"{one.owner}: {one.state}", []).append(one.end_s - one.start_s)
    rows = [
        (name, f"{len(some)}", format_seconds(min(some)), format_seconds(max(some)))
        for name, some in took.items()
    ]
    return Table(("owner: state", "holds", "shortest", "longest"), rows)
