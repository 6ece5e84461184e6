"""GuideLLM's ``benchmarks.json``: one benchmark per rate, statistics of successful requests.

Source of the shape: src/guidellm/benchmark (GenerativeMetrics) of vllm-project/guidellm 0.3 to 0.7;
docs/guides/metrics.md: ``request_latency`` is in seconds, the others in milliseconds; its
inter-token latency leaves the first token out, which is called TPOT here. Its own "time per output
token" counts the first token and is not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.deploy._observation import Content, Figures, Observation
from hetsim.errors import Problem, ScenarioError

__all__ = ["HOW", "TITLE", "read", "recognise"]

TITLE = "GuideLLM report"
HOW = "guidellm benchmark ... --output-path benchmarks.json"

_LATENCIES = {
    "time_to_first_token_ms": ("ttft_s", 1e-3),
    "inter_token_latency_ms": ("tpot_s", 1e-3),
    "request_latency": ("e2e_s", 1.0),
}
_RATES = {
    "requests_per_second": "throughput.req_s",
    "output_tokens_per_second": "throughput.output_tok_s",
}


def recognise(content: Content) -> bool:
    """Return whether it is a report of GuideLLM."""
    runs = content.first.get("benchmarks")
    return isinstance(runs, list) and (
        not runs or (isinstance(runs[0], dict) and isinstance(runs[0].get("metrics"), dict))
    )


def read(content: Content) -> list[Observation]:
    """Return the benchmarks, one per rate.

    Raises
    ------
    ScenarioError
        If there is none, or one holds what cannot be.
    """
    runs = content.first["benchmarks"]
    if not runs:
        message = f"holds no benchmark; write it with {HOW}"
        raise ScenarioError(Problem(message, "benchmarks", content.file))
    return [_run(run, number, len(runs), content.file) for number, run in enumerate(runs)]


def _run(run: Any, number: int, count: int, file: str) -> Observation:
    place = f"benchmarks[{number}]"
    metrics = run.get("metrics") if isinstance(run, dict) else None
    if not isinstance(metrics, dict):
        raise ScenarioError(Problem("holds no metrics", place, file))
    figures, workload = Figures(file, place), Figures(file, place)
    for metric, (name, scale) in _LATENCIES.items():
        _take(_successful(metrics, metric), name, f"metrics.{metric}", figures, scale)
    for metric, name in _RATES.items():
        figures.add(name, _successful(metrics, metric).get("mean"), f"metrics.{metric}.mean")
    for metric, name in (
        ("prompt_token_count", "input_tokens"),
        ("output_token_count", "output_tokens"),
    ):
        workload.add(name, _successful(metrics, metric).get("mean"), f"metrics.{metric}.mean")
    totals = metrics.get("request_totals")
    if isinstance(totals, dict):
        workload.add("requests", totals.get("successful"), "metrics.request_totals.successful")
        workload.add("failed", totals.get("errored"), "metrics.request_totals.errored")
    return Observation(
        format="guidellm",
        label=f"benchmark {number + 1} of {count}",
        figures=figures.done({"ttft_s", "tpot_s", "e2e_s", "throughput"}, f"write it with {HOW}"),
        workload=dict(workload.found),
    )


def _successful(metrics: Mapping[str, Any], metric: str) -> Mapping[str, Any]:
    block = metrics.get(metric)
    inner = block.get("successful") if isinstance(block, dict) else None
    return inner if isinstance(inner, dict) else {}


def _take(block: Mapping[str, Any], name: str, path: str, figures: Figures, scale: float) -> None:
    quantiles = block.get("percentiles")
    quantiles = quantiles if isinstance(quantiles, dict) else {}
    figures.add(f"{name}.mean", block.get("mean"), f"{path}.mean", scale)
    figures.add(f"{name}.p50", quantiles.get("p50", block.get("median")), f"{path}.p50", scale)
    for word in ("p90", "p99"):
        figures.add(f"{name}.{word}", quantiles.get(word), f"{path}.{word}", scale)
