"""The summary of a run, and of a search for the capacity, for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hetsim.cli._page import Page
from hetsim.cli._stores import COLUMNS, store_lines, tier_table
from hetsim.run import headline
from hetsim.units import format_seconds

__all__ = ["print_capacity", "print_summary"]

Summary = Mapping[str, Any]

_LATENCIES = (
    ("TTFT", "ttft_s"),
    ("TPOT", "tpot_s"),
    ("ITL", "itl_s"),
    ("first ITL", "first_itl_s"),
    ("E2E", "e2e_s"),
)


_UNCERTAIN: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("TTFT p50", "ttft_s.p50", format_seconds),
    ("TTFT p99", "ttft_s.p99", format_seconds),
    ("TPOT p50", "tpot_s.p50", format_seconds),
    ("TPOT p99", "tpot_s.p99", format_seconds),
    ("SLO attainment", "slo_attainment", lambda value: f"{value:.1%}"),
    ("goodput", "goodput_req_s", lambda value: f"{value:.3g} req/s"),
    ("cost", "cost_usd_per_mtok", lambda value: f"{value:.3g} USD/Mtok"),
)


def print_summary(summary: Summary) -> None:
    """Print a summary: the answer first, then latencies, stages, the path of a request."""
    page = Page()
    page.line(f"{summary['name']}: {summary['bottleneck']}", "bold")
    rows = [(name, value) for name, value in headline(summary) if name != "bottleneck"]
    page.pairs([*rows, *_measured(summary), *_unfinished(summary)])
    _latencies(page, summary)
    _stages(page, summary)
    _path(page, summary)
    _intervals(page, summary)
    _faults(page, summary)
    tiers = tier_table(summary)
    if tiers:
        page.table("tiers", COLUMNS, tiers)
    page.items("stores", store_lines(summary))
    page.items("capacity", [f"{name}: {line}" for name, line in summary["capacity"].items()])
    page.items("assumptions", summary["assumptions"])
    page.items("notes", [*summary["notes"], *_broken(summary)])
    page.show()


def _faults(page: Page, summary: Summary) -> None:
    """Print what each fault cost, and who waited for whom without end."""
    rows = []
    for row in summary.get("faults", ()):
        recovery_s = row["time_to_recover_s"]
        known = recovery_s is not None and recovery_s == recovery_s
        rows.append(
            [
                row["kind"],
                str(row["strokes"]),
                str(row["touched"]),
                str(row["failed"]),
                str(row["recovered"]),
                str(row["ok_corrupt"]),
                f"{row['lost_goodput_req_s']:.3g} req/s",
                f"{row['wasted_gpu_s']:.3g} s",
                format_seconds(recovery_s) if known else "never",
            ]
        )
    if rows:
        page.table("faults", _FAULTS, rows)
    page.items(
        "deadlocks",
        [
            f"at {format_seconds(row['at_s'])}: {' -> '.join(row['cycle'])}; victim: request "
            f"{row['victim']}{', given up' if row['broken'] else ''}"
            for row in summary.get("deadlocks", ())
        ],
    )


_FAULTS = (
    "", "strokes", "touched", "failed", "recovered", "ok, corrupt", "goodput lost",
    "device time wasted", "until well",
)  # fmt: skip


def _measured(summary: Summary) -> list[tuple[str, str]]:
    """Return how near half of the measured rows of such a situation were predicted."""
    from hetsim.run import load_discrepancy, situation_of

    found = load_discrepancy().at(situation_of(summary))
    words = {"tpot": "TPOT", "ttft": "TTFT", "throughput": "throughput"}
    shown = [f"{words[name]} {found[name].within_half:.0%}" for name in words if name in found]
    if not shown:
        return []
    return [("measured rows", f"half lie within {', '.join(shown)} of such a prediction")]


def _unfinished(summary: Summary) -> list[tuple[str, str]]:
    counts = summary["requests"]
    others = {k: v for k, v in counts.items() if k not in ("arrived", "finished") and v}
    if not others:
        return []
    words = ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in others.items())
    reasons = ", ".join(f"{name} {count}" for name, count in summary["reasons"].items())
    return [("not finished", f"{words} ({reasons})")]


def _latencies(page: Page, summary: Summary) -> None:
    rows = [
        [title, *(format_seconds(summary[key][q]) for q in ("mean", "p50", "p90", "p99"))]
        for title, key in _LATENCIES
    ]
    slo = {"TTFT": summary["slo"]["ttft_s"], "TPOT": summary["slo"]["tpot_s"]}
    slo["E2E"] = summary["slo"]["e2e_s"]
    for row in rows:
        limit = slo.get(row[0])
        row.append(format_seconds(limit) if limit is not None else "")
    page.table("latency", ("", "mean", "p50", "p90", "p99", "SLO"), rows)


def _intervals(page: Page, summary: Summary) -> None:
    """Print the intervals that ``--uncertainty`` found, for the figures that people read first."""
    found = summary.get("uncertainty")
    if found is None:
        return
    rows = []
    shares = found["discrepancy_share"]
    for title, key, text in _UNCERTAIN:
        if key in found["intervals"]:
            low, high = found["intervals"][key]
            share = shares.get(key) if high > low else None
            rows.append([title, text(low), text(high), *_split(share)])
    title = f"interval, 5 % to 95 % of {found['samples']} samples"
    page.table(title, ("", "low", "high", "parameters", "discrepancy"), rows)


def _split(share: float | None) -> tuple[str, str]:
    """Return which part of an interval's squared width is parameters, and which the rest."""
    return ("-", "-") if share is None else (_percent(1.0 - share), _percent(share))


def _stages(page: Page, summary: Summary) -> None:
    rows = []
    for name, stage in summary["stages"].items():
        bounds = stage["bound_by"]
        rows.append(
            [
                f"{name} ({stage['role']})",
                _percent(stage["pressure"]),
                _percent(stage["utilisation"]),
                _percent(stage["mfu"], 1),
                _percent(stage["mbu"], 1),
                _percent(stage["kv_occupancy"]),
                _percent(stage["kv_occupancy_max"]),
                f"{stage['mean_batch']:.1f}",
                max(bounds, key=lambda word: bounds[word], default="-"),
            ]
        )
    columns = ("pool", "pressure", "busy", "MFU", "MBU", "KV", "KV max", "batch", "bound")
    page.table("stages", columns, rows)


def _percent(value: float, digits: int = 0) -> str:
    return f"{value:.{digits}%}" if value == value else "-"


def _path(page: Page, summary: Summary) -> None:
    path = {name: value for name, value in summary["critical_path_s"].items() if value > 0.0}
    total = sum(path.values())
    if not total > 0.0:
        return
    rows = [
        [name.removesuffix("_s"), format_seconds(value), f"{value / total:.1%}"]
        for name, value in path.items()
    ]
    page.table("where a request's time goes (mean)", ("part", "time", "share"), rows)


def _broken(summary: Summary) -> list[str]:
    if not (summary["ok_corrupt"] or summary["violations"] or summary["leak_page_s"]):
        return []
    broken = ", ".join(f"{name} {count}" for name, count in summary["violations"].items())
    return [
        f"ownership: {broken or 'no invariant'} broken; {summary['ok_corrupt']} answers wrong "
        f"without an error; {summary['leak_page_s']:.4g} page-seconds leaked"
    ]


def print_capacity(found: Summary) -> None:
    """Print the result of ``--find-rate``."""
    page = Page()
    rate = found["rate_req_s"]
    page.line(f"{found['name']}: {rate:.4g} req/s meet the SLO; {found['bottleneck']}", "bold")
    rows = [("attainment there", f"{found['attainment']:.2%} (asked: {found['percentile']:g} %)")]
    if found["next_rate_req_s"] is not None:
        rows.append(
            (
                "the next rate",
                f"{found['next_rate_req_s']:.4g} req/s attains {found['next_attainment']:.2%}",
            )
        )
    rows += [
        ("closed-form bound", f"{found['bound_req_s']:.4g} req/s ({found['bound_stage']})"),
        ("goodput", f"{found['goodput_req_s']:.4g} req/s"),
        ("output", f"{found['output_tok_s']:.4g} tok/s"),
        ("cost at capacity", _amount(found["cost_usd_per_mtok"], "USD/Mtok", "no price known")),
        ("calibration", found["calibration_grade"]),
        ("simulations", str(found["evaluations"])),
    ]
    page.pairs(rows)
    page.items("notes", found["notes"])
    page.show()


def _amount(value: float | None, unit: str, unknown: str) -> str:
    return f"{value:.3g} {unit}" if value is not None else unknown
