"""SGLang's ``bench_serving``: one JSON object per line, a line per run.

Source of the shape: python/sglang/bench_serving.py of SGLang 0.4 to 0.5.23 (keys as vLLM's, but
``mean_e2e_latency_ms``, and ``request_rate`` as a number that may be infinite).
"""

from __future__ import annotations

from hetsim.deploy._observation import Content, Figures, Observation
from hetsim.deploy.readers.vllm_bench import client_figures, client_workload

__all__ = ["HOW", "TITLE", "read", "recognise"]

TITLE = "SGLang benchmark"
HOW = "python3 -m sglang.bench_serving ... --output-file FILE.jsonl"

_FAMILIES = {"ttft": "ttft_s", "tpot": "tpot_s", "itl": "itl_s", "e2e_latency": "e2e_s"}


def recognise(content: Content) -> bool:
    """Return whether it is the result of SGLang's benchmark."""
    keys = set(content.first)
    return "median_e2e_latency_ms" in keys or "mean_e2e_latency_ms" in keys


def read(content: Content) -> list[Observation]:
    """Return the runs, one per line."""
    found = []
    for number, data in enumerate(content.values, 1):
        place = f"run {number}" if len(content.values) > 1 else ""
        data = data if isinstance(data, dict) else {}
        figures = client_figures(data, Figures(content.file, place), _FAMILIES)
        wanted = {*_FAMILIES.values(), "throughput"}
        found.append(
            Observation(
                format="sglang_bench",
                label=f"run {number} of {len(content.values)}, {data.get('backend', 'sglang')}",
                figures=figures.done(wanted, f"write it with {HOW}"),
                workload=client_workload(data, Figures(content.file, place)),
            )
        )
    return found
