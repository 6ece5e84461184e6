"""AIPerf's ``profile_export_aiperf.json``: a block of statistics per metric, each with its unit.

Source of the shape: docs/reference/json-export-schema.md of ai-dynamo/aiperf, schema 1.0 to 1.5
("unit is authoritative"; derived metrics carry ``avg`` alone). Its inter-token latency is the mean
of a request (docs/metrics-reference.md), which is called TPOT here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.deploy._observation import Content, Figures, Observation
from hetsim.errors import Problem, ScenarioError

__all__ = ["HOW", "TITLE", "read", "recognise"]

TITLE = "AIPerf export"
HOW = "aiperf profile ..., then profile_export_aiperf.json"

_LATENCIES = {
    "time_to_first_token": "ttft_s",
    "inter_token_latency": "tpot_s",
    "request_latency": "e2e_s",
}
_RATES = {
    "request_throughput": "throughput.req_s",
    "output_token_throughput": "throughput.output_tok_s",
}
_WORKLOAD = {
    "input_sequence_length": "input_tokens",
    "output_sequence_length": "output_tokens",
    "request_count": "requests",
    "error_request_count": "failed",
}
_SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_STATISTICS = {"avg": "mean", "p50": "p50", "p90": "p90", "p99": "p99"}


def recognise(content: Content) -> bool:
    """Return whether it is AIPerf's summary."""
    blocks = (content.first.get(name) for name in (*_LATENCIES, *_RATES))
    return any(isinstance(block, dict) and "unit" in block for block in blocks)


def read(content: Content) -> list[Observation]:
    """Return the run."""
    data, figures = content.first, Figures(content.file)
    for metric, name in _LATENCIES.items():
        _latency(data, metric, name, figures, content.file)
    for metric, name in _RATES.items():
        figures.add(name, _block(data, metric).get("avg"), f"{metric}.avg")
    workload = Figures(content.file)
    for metric, name in _WORKLOAD.items():
        workload.add(name, _block(data, metric).get("avg"), f"{metric}.avg")
    found = figures.done({*_LATENCIES.values(), "throughput"}, f"write it with {HOW}")
    cut = bool(data.get("was_cancelled"))
    return [
        Observation(
            format="aiperf",
            label=f"AIPerf {data.get('aiperf_version', '')}".strip(),
            figures=found,
            workload=dict(workload.found),
            notes=("the run was cancelled: its figures are of a part",) if cut else (),
        )
    ]


def _block(data: Mapping[str, Any], metric: str) -> Mapping[str, Any]:
    block = data.get(metric)
    return block if isinstance(block, dict) else {}


def _latency(data: Mapping[str, Any], metric: str, name: str, figures: Figures, file: str) -> None:
    block = _block(data, metric)
    if not block:
        return
    unit = block.get("unit")
    if unit not in _SECONDS:
        message = f"must be a unit of time ({', '.join(_SECONDS)}); seen {unit!r}"
        raise ScenarioError(Problem(message, f"{metric}.unit", file))
    for word, statistic in _STATISTICS.items():
        figures.add(f"{name}.{statistic}", block.get(word), f"{metric}.{word}", _SECONDS[unit])
