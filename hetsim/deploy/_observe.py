"""A measured file against a prediction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import exp, log
from pathlib import Path
from typing import Any

from hetsim.deploy._blame import Curve, Verdict, blame
from hetsim.deploy._design import load_design
from hetsim.deploy._observation import Observation
from hetsim.deploy._sensitivity import PARAMETERS, figures_of, refined, sensitivities
from hetsim.deploy.readers import read_measured
from hetsim.run import load_result, run_loaded
from hetsim.scenario import Loaded
from hetsim.spec import spec

__all__ = ["Comparison", "Row", "compare", "observe"]

LENGTHS_DIFFER = 0.05
_NEXT = {
    "host step time": "TPOT of one request at a time",
    "request overhead": "TTFT of short prompts, one at a time",
    "bandwidth efficiency": "TPOT with many requests and long contexts",
    "compute efficiency": "TTFT of long prompts, one at a time",
    "link rate": "TTFT of long prompts against a co-located engine's",
    "load": "the client's real request rate",
}


@spec
class Row:
    """One figure, predicted and observed."""

    name: str
    predicted: float | None
    observed: float
    judged: bool
    """Whether it enters the search for what is wrong."""

    @property
    def ratio(self) -> float | None:
        """Observed over predicted."""
        return self.observed / self.predicted if self.predicted else None


@spec
class Comparison:
    """Predicted against observed, and what is most likely wrong."""

    scenario: str
    observation: Observation
    rows: tuple[Row, ...]
    verdict: Verdict
    doubts: tuple[str, ...]

    @property
    def says(self) -> str:
        """The verdict in a sentence."""
        return _sentence(self.verdict)

    @property
    def next_step(self) -> str:
        """What to measure next; empty where nothing is open."""
        names = [one.parameter for one in self.verdict.tied]
        if self.verdict.kind == "found":
            return f"to be sure: measure {_NEXT[names[0]]}"
        if self.verdict.kind == "tied":
            return "to tell them apart: measure " + "; ".join(_NEXT[name] for name in names)
        return ""

    def data(self) -> dict[str, Any]:
        """Return plain data."""
        verdict = self.verdict
        return {
            "scenario": self.scenario,
            "format": self.observation.format,
            "run": self.observation.label,
            "figures": [
                {
                    "name": row.name,
                    "predicted": row.predicted,
                    "observed": row.observed,
                    "ratio": row.ratio,
                    "judged": row.judged,
                }
                for row in self.rows
            ],
            "workload": dict(self.observation.workload),
            "verdict": verdict.kind,
            "parameter": verdict.parameter,
            "deviation": exp(verdict.deviation) - 1.0,
            "candidates": [
                {
                    "parameter": one.parameter,
                    "factor": one.factor,
                    "explained": one.explained,
                    "left": exp(one.residual) - 1.0,
                }
                for one in verdict.candidates
            ],
            "says": self.says,
            "next": self.next_step,
            "doubts": list(self.doubts),
        }


def _sentence(verdict: Verdict) -> str:
    off = f"{exp(verdict.deviation) - 1.0:.0%}"
    if verdict.kind == "agrees":
        return f"the prediction is confirmed: figures differ by {off} on average"
    if verdict.kind == "unexplained":
        return f"not determined: no single parameter explains the difference ({off} on average)"
    if verdict.kind == "tied":
        words = [f"{one.parameter} ({one.factor:.2f} x)" for one in verdict.tied]
        return f"not determined: {' and '.join(words)} explain the difference equally"
    best = verdict.candidates[0]
    return (
        f"most likely wrong: {best.parameter} ({PARAMETERS[best.parameter]}), {best.factor:.2f} "
        f"times what was assumed; it explains {best.explained:.0%} of the difference"
    )


def observe(
    file: str | Path,
    scenario: str | Path | Loaded,
    progress: Callable[[int, int], None] | None = None,
) -> Comparison:
    """Return what was measured against what is predicted, and what is most likely wrong.

    ``scenario`` may be a run directory; its summary is then the prediction. Of a file with several
    runs, the one is taken whose request rate is nearest to the scenario's.

    Raises
    ------
    ScenarioError
        If the file or the scenario is wrong.
    InfeasibleError
        If the scenario cannot run.
    """
    observations = read_measured(file)
    loaded = scenario if isinstance(scenario, Loaded) else load_design(scenario)
    summary = _summary(scenario, loaded)
    chosen, note = _nearest(observations, summary)
    base, ratios = figures_of(summary), _ratios(_rows(chosen, summary))
    curves = refined(loaded, base, ratios, sensitivities(loaded, base, progress))
    made = compare(loaded.scenario.name, chosen, summary, curves)
    return replace(made, doubts=(*note, *made.doubts))


def _summary(scenario: str | Path | Loaded, loaded: Loaded) -> Mapping[str, Any]:
    if not isinstance(scenario, Loaded) and (Path(scenario) / "summary.json").is_file():
        return load_result(scenario).summary
    return run_loaded(loaded).summary


def _rate(observation: Observation) -> float | None:
    stated = observation.workload.get("rate_req_s")
    return stated or observation.figures.get("throughput.req_s")


def _nearest(
    observations: Sequence[Observation], summary: Mapping[str, Any]
) -> tuple[Observation, tuple[str, ...]]:
    """Return the run whose rate is nearest to the prediction's; the first where none has a rate."""
    if len(observations) == 1:
        return observations[0], ()
    asked = max(float(summary["throughput"]["req_s"]), 1e-12)

    def distance(one: Observation) -> float:
        rate = _rate(one)
        return abs(log(rate / asked)) if rate else float("inf")

    chosen = min(observations, key=distance)
    note = f"the file holds {len(observations)} runs; the nearest in rate is taken: {chosen.label}"
    return chosen, (note,)


def compare(
    name: str,
    observation: Observation,
    summary: Mapping[str, Any],
    curves: Mapping[str, Curve],
) -> Comparison:
    """Return the comparison of one observation with one summary: a pure function."""
    rows = _rows(observation, summary)
    verdict = blame(_ratios(rows), curves)
    doubts = (*observation.notes, *_doubts(observation, summary))
    return Comparison(
        scenario=name, observation=observation, rows=rows, verdict=verdict, doubts=doubts
    )


def _one_side(observation: Observation, summary: Mapping[str, Any]) -> bool:
    """Return whether one engine of a hand-off was asked, which sees a part of every request."""
    roles = [stage["role"] for stage in summary["stages"].values()]
    return observation.server_side and "both" not in roles


def _rows(observation: Observation, summary: Mapping[str, Any]) -> tuple[Row, ...]:
    predicted, one_side = figures_of(summary), _one_side(observation, summary)
    rows = []
    for figure, value in observation.figures.items():
        own = not one_side or figure.split(".")[0] in ("tpot_s", "itl_s")
        judged = own and figure in predicted
        rows.append(
            Row(name=figure, predicted=predicted.get(figure), observed=value, judged=judged)
        )
    return (*rows, *_levels(observation, summary))


def _ratios(rows: Sequence[Row]) -> dict[str, float]:
    return {row.name: row.ratio for row in rows if row.judged and row.ratio is not None}


def _levels(observation: Observation, summary: Mapping[str, Any]) -> list[Row]:
    """Return levels of one moment beside the means of the stage that decodes; none is judged."""
    stages = list(summary["stages"].values())
    stage = next((one for one in stages if one["role"] != "prefill"), stages[-1])
    means = {"running": stage["mean_batch"], "kv_occupancy": stage["kv_occupancy"]}
    return [
        Row(name=name, predicted=means.get(name), observed=value, judged=False)
        for name, value in observation.gauges.items()
    ]


def _doubts(observation: Observation, summary: Mapping[str, Any]) -> list[str]:
    found = []
    if _one_side(observation, summary):
        found.append(
            "an engine sees only its own side of the hand-off: its TTFT and E2E are shown and not "
            "judged; measure at a client, or save the decode engine's metrics"
        )
    throughput = summary["throughput"]
    means = {}
    if throughput["req_s"] > 0.0:
        means["output_tokens"] = throughput["output_tok_s"] / throughput["req_s"]
        total = throughput["total_tok_s"] - throughput["output_tok_s"]
        means["input_tokens"] = total / throughput["req_s"]
    for name, mean in means.items():
        seen = observation.workload.get(name)
        if seen and mean and abs(log(seen / mean)) > LENGTHS_DIFFER:
            found.append(
                f"mean {name.replace('_', ' ')}: {seen:.4g} observed, {mean:.4g} predicted; make "
                "the workloads alike before a parameter is believed to be wrong"
            )
    failed = observation.workload.get("failed", 0.0)
    if failed:
        found.append(f"{failed:g} requests failed in the measurement")
    if summary.get("unstable"):
        found.append("the predicted run is unstable: its percentiles depend on the horizon")
    return found
