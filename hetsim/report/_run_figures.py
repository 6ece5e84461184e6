"""The figures of a run, each a function from its result to a ``Figure``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hetsim.report._chart import (
    Bars,
    Figure,
    Group,
    Line,
    Lines,
    Points,
    Table,
    si_scale,
    time_scale,
)
from hetsim.units import format_bytes, format_seconds

if TYPE_CHECKING:
    from hetsim.run import Result

__all__ = [
    "latency_figures",
    "limits_figure",
    "path_figure",
    "stage_figures",
    "transfer_figure",
]

_LATENCIES = (("TTFT", "ttft_s"), ("TPOT", "tpot_s"), ("E2E latency", "e2e_s"))
_MOST_POINTS = 1500


def limits_figure(result: Result) -> Figure:
    """Return how near every objective and every pool is to its limit: the first figure."""
    rows = [*_objectives(result), *_pressures(result.summary)]
    chart = Bars(
        "share of the limit used",
        [name for name, *_ in rows],
        {"share of the limit": [share for _, share, *_ in rows]},
        limit=(1.0, "limit"),
        share=True,
    )
    table = Table(
        ("what", "used", "value", "limit"),
        [(name, f"{share:.0%}", value, limit) for name, share, value, limit in rows],
    )
    says = (
        "How much of every limit is used: latencies of finished requests at the percentile of the "
        "SLO, and the load of each pool. What lies beyond the dashed line is too much."
    )
    return Figure("limits", "Distance to every limit", says, chart if rows else None, table)


def _objectives(result: Result) -> Iterable[tuple[str, float, str, str]]:
    slo, rows = result.summary["slo"], result.requests
    for name, key in _LATENCIES:
        values = rows.loc[rows["measured"], key].dropna().to_numpy(float)
        if slo[key] is None or not len(values):
            continue
        value = float(np.percentile(values, slo["percentile"]))
        shown = f"{name} p{slo['percentile']:g}"
        yield shown, value / slo[key], format_seconds(value), format_seconds(slo[key])


def _pressures(summary: Mapping[str, Any]) -> Iterable[tuple[str, float, str, str]]:
    what = {"prefill": "busy time", "decode": "KV or slots", "both": "prefill time, KV or slots"}
    for name, stage in summary["stages"].items():
        if stage["pressure"] is not None:
            share = float(stage["pressure"])
            seen = what.get(str(stage["role"]), what["both"])
            yield f"pool {name}", share, f"{share:.0%} of {seen}", "100%"


def latency_figures(result: Result) -> list[Figure]:
    """Return the distributions of TTFT, TPOT and E2E latency, with their objectives."""
    from hetsim.run import overview_tables

    return [
        _latency(result, table, key)
        for table, (_, key) in zip(overview_tables(result)["cdf"], _LATENCIES, strict=True)
    ]


def _latency(result: Result, cdf: Any, key: str) -> Figure:
    name = cdf.name
    rows, slo = result.requests, cdf.slo_s
    values = rows.loc[rows["measured"], key].dropna().to_numpy(float)
    title, anchor = f"{name} of finished requests", key.removesuffix("_s")
    if not len(values):
        return Figure(anchor, title, "No request has this latency.", None, Table((name,), []))
    table = Table(("", name), _latency_rows(values, slo, result.summary[key]))
    high = float(np.percentile(values, 99.5))
    shown = slo is not None and slo <= 2.5 * high
    end = max(1.1 * high, 1.08 * slo if shown else 0.0)
    factor, unit = time_scale(end)
    chart = Lines(
        f"{name} ({unit})",
        "share of requests",
        [Line(name, cdf.value_s * factor, cdf.share)],
        limit=(slo * factor, f"SLO {format_seconds(slo)}") if shown else None,
        share=True,
        stairs=True,
        x_end=end * factor,
    )
    return Figure(anchor, title, _latency_words(name, values, slo, shown), chart, table)


def _latency_rows(values: Any, slo: float | None, known: Any) -> list[tuple[str, str]]:
    rows = [(word, format_seconds(known[word])) for word in ("mean", "p50", "p90", "p99")]
    rows.append(("largest", format_seconds(float(values.max()))))
    if slo is not None:
        rows.append(("SLO", format_seconds(slo)))
        rows.append(("within the SLO", f"{float((values <= slo).mean()):.2%}"))
    return rows


def _latency_words(name: str, values: Any, slo: float | None, shown: bool) -> str:
    if slo is None:
        return f"No objective is set for {name}."
    share = float((values <= slo).mean())
    text = f"{share:.1%} of the finished requests are within {format_seconds(slo)}."
    return text if shown else f"{text} The SLO lies beyond the right edge."


def path_figure(result: Result) -> Figure:
    """Return where the time of a request goes, on average and in the slowest tenth."""
    from hetsim.run import overview_tables

    bars = overview_tables(result)["path"]
    title = "Critical path: where a request's time goes"
    if not bars:
        return Figure("path", title, "No request finished.", None, Table(("part",), []))
    totals = [sum(bar.parts.values()) for bar in bars]
    factor, unit = time_scale(max(totals))
    names = [name for name in bars[0].parts if any(bar.parts[name] > 0.0 for bar in bars)]
    chart = Bars(
        f"mean time from arrival to last token ({unit})",
        [bar.name for bar in bars],
        {name: [bar.parts[name] * factor for bar in bars] for name in names},
    )
    rows = [
        (name, *(_part(bar.parts[name], all_s) for bar, all_s in zip(bars, totals, strict=True)))
        for name in names
    ]
    rows.append(("sum", *(format_seconds(total) for total in totals)))
    largest = max(names, key=lambda name: bars[0].parts[name]) if names else "nothing"
    says = f"Most of the time goes to {largest}. Parts follow one another, from left to right."
    return Figure("path", title, says, chart, Table(("part", *(b.name for b in bars)), rows))


def _part(value_s: float, total_s: float) -> str:
    return f"{format_seconds(value_s)} ({value_s / max(total_s, 1e-30):.1%})"


def stage_figures(result: Result) -> list[Figure]:
    """Return utilisation, KV occupancy and backlog over time."""
    from hetsim.run import overview_tables

    tables, stages = overview_tables(result), result.summary["stages"]
    busy = Table(
        ("pool", "instances", "busy", "MFU", "MBU", "mean batch", "bound by"),
        [
            (
                name,
                f"{stage['instances']}",
                *(_share(stage[key]) for key in ("utilisation", "mfu", "mbu")),
                _number(stage["mean_batch"]),
                ", ".join(f"{word} {share:.0%}" for word, share in stage["bound_by"].items()),
            )
            for name, stage in stages.items()
        ],
    )
    held = Table(
        ("pool", "KV mean", "KV most"),
        [
            (name, _share(stage["kv_occupancy"]), _share(stage["kv_occupancy_max"]))
            for name, stage in stages.items()
        ],
    )
    return [
        _over_time(
            "utilisation",
            "Utilisation of the pools",
            "Share of the instances that run a step. Decode runs whenever it has one request: busy "
            "is not full.",
            tables["utilisation"],
            "busy share",
            busy,
        ),
        _over_time(
            "kv_occupancy",
            "KV occupancy of the pools",
            "Share of the KV blocks in use on instances while they run.",
            tables["kv_occupancy"],
            "KV blocks in use",
            held,
        ),
        _over_time(
            "backlog",
            "Requests in each phase",
            "A line that climbs to the end means that requests arrive faster than they leave.",
            tables["backlog"],
            "requests",
            _line_table("phase", tables["backlog"].lines, lambda value: f"{value:.3g}"),
            share=False,
        ),
    ]


def _over_time(
    key: str, title: str, says: str, table: Any, label: str, rows: Table, *, share: bool = True
) -> Figure:
    lines = [Line(name, table.time_s, values) for name, values in table.lines.items()]
    end = float(table.time_s[-1]) if len(table.time_s) else None
    return Figure(key, title, says, Lines("time (s)", label, lines, share=share, x_end=end), rows)


def _line_table(word: str, lines: Mapping[str, Any], text: Callable[[float], str]) -> Table:
    rows = [
        (name, text(float(values.mean())), text(float(values.max())), text(float(values[-1])))
        for name, values in lines.items()
    ]
    return Table((word, "mean", "most", "at the end"), rows)


def transfer_figure(result: Result) -> Figure:
    """Return every movement of KV: its bytes and how long it took."""
    moves = result.transfers
    title, columns = "Transfers of KV", ("kind", "moves", "bytes", "p50", "p99", "exposed p50")
    if not len(moves):
        return Figure("transfers", title, "No KV was moved in this run.", None, Table(columns, []))
    size, prefix = si_scale(float(moves["bytes"].max()))
    factor, unit = time_scale(float(moves["duration_s"].quantile(0.99)))
    groups, rows = [], []
    for kind, part in moves.groupby("kind", observed=True):
        kept = part.iloc[:: max(1, -(-len(part) // _MOST_POINTS))]
        groups.append(
            Group(
                str(kind),
                kept["bytes"].to_numpy(float) / size,
                kept["duration_s"].to_numpy(float) * factor,
                [
                    f"request {one}: {format_bytes(amount)} in {format_seconds(took)}"
                    for one, amount, took in zip(
                        kept["request_id"], kept["bytes"], kept["duration_s"], strict=True
                    )
                ],
            )
        )
        rows.append(_transfer_row(str(kind), part))
    chart = Points(f"size ({prefix}B)", f"duration ({unit})", groups)
    shown = sum(len(group.x) for group in groups)
    says = "Duration against size; exposed is what the request had to wait for."
    if shown < len(moves):
        says += f" Drawn: every n-th move, {shown} of {len(moves)}; the table counts all."
    return Figure("transfers", title, says, chart, Table(columns, rows))


def _transfer_row(kind: str, part: Any) -> tuple[str, ...]:
    took, exposed = part["duration_s"], part["exposed_s"]
    return (
        kind,
        f"{len(part)}",
        format_bytes(float(part["bytes"].sum())),
        format_seconds(float(took.quantile(0.5))),
        format_seconds(float(took.quantile(0.99))),
        format_seconds(float(exposed.quantile(0.5))),
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
