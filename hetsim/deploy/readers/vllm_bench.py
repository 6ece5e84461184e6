"""``vllm bench serve --save-result``: one JSON object.

Source of the shape: vllm/benchmarks/serve.py of vLLM 0.15 to 0.33 (result keys ``mean_ttft_ms``,
``median_...``, ``p99_...`` for ttft, tpot, itl and e2el; ``request_rate`` is a number or "inf").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.deploy._observation import Content, Figures, Observation

__all__ = ["HOW", "TITLE", "client_figures", "client_workload", "read", "recognise"]

TITLE = "vLLM benchmark"
HOW = "vllm bench serve ... --save-result"

_FAMILIES = {"ttft": "ttft_s", "tpot": "tpot_s", "itl": "itl_s", "e2el": "e2e_s"}
_STATISTICS = {"mean": "mean", "median": "p50", "p50": "p50", "p90": "p90", "p99": "p99"}


def recognise(content: Content) -> bool:
    """Return whether it is the result of vLLM's benchmark."""
    return len(content.values) == 1 and (
        {"request_throughput", "total_input_tokens"} <= set(content.first)
        and "mean_e2e_latency_ms" not in content.first
    )


def read(content: Content) -> list[Observation]:
    """Return the run."""
    data = content.first
    figures = client_figures(data, Figures(content.file), _FAMILIES)
    wanted = {*_FAMILIES.values(), "throughput"}
    found = figures.done(wanted, f"write it with {HOW}")
    label = f"{data.get('model_id', 'a model')}, {data.get('date', 'no date')}"
    workload = client_workload(data, Figures(content.file))
    return [Observation(format="vllm_bench", label=label, figures=found, workload=workload)]


def client_figures(
    data: Mapping[str, Any], figures: Figures, families: Mapping[str, str]
) -> Figures:
    """Take ``<statistic>_<family>_ms`` and the rates."""
    for family, name in families.items():
        for word, statistic in _STATISTICS.items():
            key = f"{word}_{family}_ms"
            figures.add(f"{name}.{statistic}", data.get(key), key, 1e-3)
    figures.add("throughput.req_s", data.get("request_throughput"), "request_throughput")
    figures.add("throughput.output_tok_s", data.get("output_throughput"), "output_throughput")
    return figures


def client_workload(data: Mapping[str, Any], figures: Figures) -> dict[str, float]:
    """Return means of lengths, and the rate that was asked for if there was one."""
    figures.add("requests", data.get("completed"), "completed")
    figures.add("failed", data.get("failed"), "failed")
    for name in ("input", "output"):
        figures.add(name, data.get(f"total_{name}_tokens"), f"total_{name}_tokens")
    rate = data.get("request_rate")
    if not (isinstance(rate, str) or rate == float("inf")):
        figures.add("rate_req_s", rate, "request_rate")
    found = dict(figures.found)
    done = found.get("requests", 0.0)
    for name in ("input", "output"):
        total = found.pop(name, 0.0)
        if done and total:
            found[f"{name}_tokens"] = total / done
    return found
