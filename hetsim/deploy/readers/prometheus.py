"""``/metrics`` of a vLLM or SGLang engine, saved as text.

Source of the shape: the Prometheus text exposition format 0.0.4; docs/usage/metrics.md of vLLM 0.33
and docs/references/production_metrics.md of SGLang 0.5.23 (names, labels, buckets). A histogram
gives its mean exactly; quantiles are interpolated within a bucket, as ``histogram_quantile`` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from math import inf, isfinite, isnan

from hetsim.deploy._observation import Content, Observation
from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec

__all__ = ["HOW", "TITLE", "quantile", "read", "recognise"]

TITLE = "Prometheus snapshot of vLLM or SGLang"
HOW = "curl http://HOST:PORT/metrics > FILE (SGLang: started with --enable-metrics)"

_LATENCIES = {
    "vllm:time_to_first_token_seconds": "ttft_s",
    "vllm:request_time_per_output_token_seconds": "tpot_s",
    "vllm:inter_token_latency_seconds": "itl_s",
    "vllm:time_per_output_token_seconds": "itl_s",
    "vllm:e2e_request_latency_seconds": "e2e_s",
    "sglang:time_to_first_token_seconds": "ttft_s",
    "sglang:inter_token_latency_seconds": "itl_s",
    "sglang:time_per_output_token_seconds": "itl_s",
    "sglang:e2e_request_latency_seconds": "e2e_s",
}
_LENGTHS = {
    "vllm:request_prompt_tokens": "input_tokens",
    "vllm:request_generation_tokens": "output_tokens",
    "sglang:prompt_tokens_histogram": "input_tokens",
    "sglang:generation_tokens_histogram": "output_tokens",
}
_GAUGES = {
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
    "vllm:kv_cache_usage_perc": "kv_occupancy",
    "vllm:gpu_cache_usage_perc": "kv_occupancy",
    "sglang:num_running_reqs": "running",
    "sglang:num_queue_reqs": "waiting",
    "sglang:token_usage": "kv_occupancy",
}
_RANKS = ("tp_rank", "pp_rank", "moe_ep_rank")
"""Labels of ranks that report the same thing again."""
_LINE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?\s*$")
_LABEL = re.compile(r'([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"')


@spec
class Sample:
    """One line."""

    name: str
    labels: Mapping[str, str]
    value: float


def recognise(content: Content) -> bool:
    """Return whether it is a snapshot of an engine's metrics."""
    return not content.values and bool(re.search(r"^(vllm|sglang):", content.text, re.MULTILINE))


def read(content: Content) -> list[Observation]:
    """Return the snapshot as one run.

    Raises
    ------
    ScenarioError
        If lines are malformed, or nothing was counted yet.
    """
    samples = _samples(content)
    figures: dict[str, float] = {}
    for metric, name in _LATENCIES.items():
        for statistic, value in _histogram(samples, metric).items():
            figures.setdefault(f"{name}.{statistic}", value)
    if not figures:
        message = "holds no latency yet; send requests, then save it again"
        raise ScenarioError(Problem(message, "", content.file))
    workload: dict[str, float] = {}
    for metric, name in _LENGTHS.items():
        mean = _histogram(samples, metric).get("mean")
        if mean is not None:
            workload.setdefault(name, mean)
    engine = next(sample.name for sample in samples).split(":")[0]
    notes = ("quantiles are interpolated within the engine's buckets; means are exact",)
    return [
        Observation(
            format="prometheus",
            label=f"/metrics of {engine}",
            figures=figures,
            workload=workload,
            gauges=_gauges(samples),
            server_side=True,
            notes=notes,
        )
    ]


def _samples(content: Content) -> list[Sample]:
    found, problems = [], []
    for number, line in enumerate(content.text.splitlines(), 1):
        if not line.startswith(("vllm:", "sglang:")):
            continue
        match = _LINE.match(line)
        value = _number(match.group(3)) if match else None
        if match is None or value is None:
            message = f"is no sample of a metric (name, labels, value); seen {line[:60]!r}"
            problems.append(Problem(message, "", content.file, number))
            continue
        labels = dict(_LABEL.findall(match.group(2) or ""))
        found.append(Sample(name=match.group(1), labels=labels, value=value))
    if problems:
        raise ScenarioError(problems[:20])
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _histogram(samples: Iterable[Sample], metric: str) -> dict[str, float]:
    """Return mean and quantiles of a histogram, all its label sets together."""
    total = count = 0.0
    buckets: dict[float, float] = {}
    for sample in samples:
        if sample.name == f"{metric}_sum":
            total += sample.value
        elif sample.name == f"{metric}_count":
            count += sample.value
        elif sample.name == f"{metric}_bucket":
            bound = _number(sample.labels.get("le", ""))
            if bound is not None:
                buckets[bound] = buckets.get(bound, 0.0) + sample.value
    if count <= 0.0 or not isfinite(total) or total <= 0.0:
        return {}
    found = {"mean": total / count}
    for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99)):
        value = quantile(buckets, part)
        if value is not None:
            found[name] = value
    return found


def quantile(buckets: Mapping[float, float], part: float) -> float | None:
    """Return a quantile of cumulative buckets (bound to count), linear within a bucket.

    None where it lies beyond the last finite bound, or nothing was counted.

    >>> quantile({1.0: 2.0, 2.0: 4.0, float("inf"): 4.0}, 0.75)
    1.5
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0.0:
        return None
    rank, low, below = part * total, 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= rank:
            if bound == inf or count <= below:
                return None
            return low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return None


def _gauges(samples: Iterable[Sample]) -> dict[str, float]:
    """Return levels; ranks of one engine say the same, engines add up."""
    groups: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for sample in samples:
        name = _GAUGES.get(sample.name)
        if name is None or isnan(sample.value):
            continue
        own = tuple(sorted((k, v) for k, v in sample.labels.items() if k not in _RANKS))
        held = groups.setdefault(name, {})
        held[own] = max(sample.value, held.get(own, 0.0))
    found = {}
    for name, values in groups.items():
        total = sum(values.values())
        found[name] = total / len(values) if name == "kv_occupancy" else total
    return found
