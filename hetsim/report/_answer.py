"""The answer of a run in words: does the SLO hold, what does it cost, what binds, how sure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from hetsim.units import format_seconds

if TYPE_CHECKING:
    from hetsim.run import Result

__all__ = ["GRADES", "OUTSIDE", "UNMEASURED", "Answer", "run_answer"]

GRADES: Mapping[str, str] = {
    "measured": "interpolated between measurements of this very device",
    "fitted": "a roofline model fitted to measurements of this device; its residuals remain",
    "stated": "the scenario's own constants: nobody can say how far off they are",
    "transferred": "efficiencies borrowed from another device: no measurement of this one",
    "datasheet": "computed from datasheet peaks: no measurement of this device went in",
}
"""What a calibration grade means, from the surest to the least sure."""


UNMEASURED = ("transferred", "datasheet")
OUTSIDE = "Effects outside the model (other tenants, warm-up, software faults) are not in it."


class Answer(NamedTuple):
    """The first screen: a verdict, ``good`` or not (None = cannot be said), and the reasons."""

    verdict: str
    good: bool | None
    points: list[tuple[str, str | list[str]]]
    """(question, answer or answers), in the order of reading."""
    unknown: list[str]
    """What the reader must not take for known."""


def run_answer(result: Result) -> Answer:
    """Return what a reader who stops after the first screen should take away."""
    summary = result.summary
    good = _good(summary)
    points: list[tuple[str, str | list[str]]] = [
        ("Does the SLO hold?", _slo(summary)),
        ("What does it cost?", _cost(summary)),
        ("What binds?", _binds(summary)),
        ("How sure is this?", _sure(summary)),
    ]
    return Answer(_verdict(summary, good), good, points, list(_unknown(summary)))


def _good(summary: Mapping[str, Any]) -> bool | None:
    if not summary["requests"]["finished"] or summary["slo_attainment"] is None:
        return None if not summary["requests"]["arrived"] else False
    if not summary["slo_met"]:
        return False
    # A run that ends while its backlog grows may be overloaded, or too short to have settled.
    return None if summary["unstable"] else True


def _verdict(summary: Mapping[str, Any], good: bool | None) -> str:
    if not summary["requests"]["arrived"]:
        return "Nothing can be said: no request arrived."
    if good is None:
        return "The SLO held in this run, but the backlog grew: overloaded, or too short to tell."
    if summary["unstable"]:
        return "The SLO does not hold: requests arrive faster than they leave."
    if good and summary["calibration_grade"] in UNMEASURED:
        return "The SLO holds, by estimate: not every device was measured."
    if good and summary["calibration_grade"] == "stated":
        return "The SLO holds for the step times that the scenario states."
    return "The SLO holds." if good else "The SLO does not hold."


def _slo(summary: Mapping[str, Any]) -> str:
    attained, slo, counts = summary["slo_attainment"], summary["slo"], summary["requests"]
    limits = [
        f"{name} {format_seconds(slo[key])}"
        for name, key in (("TTFT", "ttft_s"), ("TPOT", "tpot_s"), ("E2E", "e2e_s"))
        if slo[key] is not None
    ]
    if attained is None:
        return f"No request was counted against the limits ({', '.join(limits)})."
    text = (
        f"{attained:.1%} of the requests that arrived met every limit ({', '.join(limits)}); "
        f"{slo['percentile']:g}% must. Goodput is {summary['goodput_req_s'] or 0.0:.3g} req/s."
    )
    lost = [
        f"{count} {word.replace('_', ' ')}"
        for word, count in counts.items()
        if word not in ("arrived", "finished") and count
    ]
    return f"{text} Of {counts['arrived']} requests, {', '.join(lost)}." if lost else text


def _cost(summary: Mapping[str, Any]) -> str:
    cost, energy = summary["cost_usd_per_mtok"], summary["energy_j_per_tok"]
    number = summary["accelerators"]
    parts = [
        f"{cost:.3g} USD per million output tokens" if cost is not None else "Cost is not known",
        f"{energy:.3g} J per output token" if energy is not None else "energy is not known",
    ]
    devices = f"{number} accelerator{'s' if number != 1 else ''}"
    return f"{'; '.join(parts)}, on {devices}, at the load simulated here (idle time is paid for)."


def _binds(summary: Mapping[str, Any]) -> str:
    text = str(summary["bottleneck"])
    late = {name: share for name, share in summary["slo_missed_ratio"].items() if share}
    if late:
        missed = ", ".join(f"{name.upper()} by {share:.1%}" for name, share in late.items())
        text += f". Limits missed by finished requests: {missed}"
    return f"{text[:1].upper()}{text[1:]}."


def _sure(summary: Mapping[str, Any]) -> str:
    grade = str(summary["calibration_grade"])
    text = f"Worst calibration grade: {grade}, {GRADES.get(grade, 'not a known grade')}."
    finished = summary["requests"]["finished"]
    if not finished:
        return text
    tail = max(1, round(0.01 * finished))
    text += f" One run, one seed: p99 of {finished} requests rests on its {tail} slowest"
    return text + (", which is few: simulate more requests." if tail < 10 else ".")


def _unknown(summary: Mapping[str, Any]) -> Iterator[str]:
    if summary["unstable"]:
        yield (
            f"The backlog grows by {summary['backlog_growth_req_s']:.3g} req/s: latencies depend "
            "on how long was simulated and have no steady value."
        )
    if summary["requests"]["unfinished"]:
        yield f"{summary['requests']['unfinished']} requests had not finished when the run ended."
    if summary["ok_corrupt"]:
        yield f"{summary['ok_corrupt']} requests finished with corrupt KV: their answers are wrong."
    if summary["leak_page_s"]:
        yield "KV blocks were held longer than needed; see the notes on ownership."
    if summary["calibration_grade"] in UNMEASURED:
        yield "No measurement of at least one device went into step times: treat them as estimates."
    if summary["calibration_grade"] == "stated":
        yield "Step times of at least one pool are constants of the scenario, and no device's."
    yield OUTSIDE
