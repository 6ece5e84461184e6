"""JSON Schema of a scenario: descriptions from the source, and an example where one helps."""

from __future__ import annotations

from typing import Any

from hetsim.scenario._types import Scenario
from hetsim.spec._schema import described_schema

__all__ = ["EXAMPLES", "scenario_schema"]

EXAMPLES: dict[str, Any] = {
    "Scenario.name": "two cheap prompts, one fast answer",
    "Scenario.description": "Prompts on L40S, answers on H200.",
    "Scenario.horizon": "600 s",
    "Scenario.prices": {"h100-sxm": "2.5 USD/h"},
    "Scenario.seed": 7,
    "model": "llama-3.1-8b",
    "accelerator": "h100",
    "instances": 2,
    "runtime": "vllm_nixl_pull",
    "host": "hgx-h100",
    "devices_per_node": 8,
    "max_seqs": 256,
    "max_batched_tokens": 8192,
    "block_tokens": 16,
    "memory_utilisation": 0.9,
    "Pool.reserve": "4 GB",
    "queue_limit": 100,
    "Pool.queue_timeout": "30 s",
    "weights": "fp8_e4m3",
    "compute": "fp8_e4m3",
    "kv": "bf16",
    "activations": "bf16",
    "attention_weights": "bf16",
    "ConstantCosts.prefill": "100 ms",
    "ConstantCosts.decode_step": "10 ms",
    "blocks": 10000,
    "ownership": "pull_lease",
    "variant": "sound",
    "wire": "fp8_e4m3",
    "transfer_engine": "nixl_ucx_rdma",
    "Boundary.lease": "30 s",
    "Boundary.control_latency": "1 ms",
    "Boundary.transit": "8 GB",
    "handles": 4,
    "hold_above": 0.9,
    "step_timers": True,
    "Slo.tpot": "50 ms",
    "Slo.e2e": "20 s",
    "requests": 1000,
    "rate": "4 req/s",
    "users": 32,
    "concurrency": 64,
    "max_concurrency": 64,
    "turns": 5,
    "shared_prefix": 512,
    "input": {"kind": "lognormal", "mean": 900, "cv": 0.8},
    "output": {"kind": "lognormal", "mean": 180, "cv": 0.7},
    "InferenceX.input": 1024,
    "InferenceX.output": 1024,
    "arrivals": {"kind": "poisson", "rate": "4 req/s"},
    "Regime.name": "balanced",
    "Trace.path": "azure.csv",
    "Trace.format": "azure",
    "Trace.limit": 5000,
    "Trace.window": {"start": "0 s", "end": "600 s"},
    "columns": {"arrival": "t", "isl": "prompt", "osl": "answer"},
    "Empirical.path": "azure.csv",
    "Empirical.format": "azure",
    "values": [100, 200, 800],
    "mean": 900,
    "cv": 0.8,
    "sigma": 0.7,
    "min": 16,
    "max": 8192,
    "tokens": 512,
    "burst_ratio": 4,
    "nics_per_node": 4,
    "efficiency": 0.8,
    "oversubscription": 2,
    "nodes_per_leaf": 16,
    "Fault.at": "60 s",
    "when": "Ds:reading",
    "nth": 3,
    "per_hour": 12,
    "probability": 0.01,
    "count": 3,
    "Fault.pool": "decode",
    "factor": 0.1,
    "times": 5,
    "rails": 4,
    "notice": "done",
    "timer": "lease",
    "mismatch": "page_size",
    "attempts": 2,
    "bypass_below": 512,
    "decode_share": 0.2,
    "decode_tokens": 256,
    "relief_above": 20000,
    "writers": ["prefill"],
    "nodes": 2,
    "rated_dwpd": 1.0,
}
"""What to write, by field; a class before the dot where it depends on it."""


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario, for editors and for people.

    >>> scenario_schema()["properties"]["seed"]["description"]
    'Every random draw follows from it.'
    """
    made = described_schema(Scenario, EXAMPLES)
    made["properties"]["profiles"] = _profiles()
    return made


def _profiles() -> dict[str, Any]:
    """Return the schema of the embedded section: rooms, and in each the parts of the run."""
    docs = {
        "accelerators": "Devices, by the word that the scenario uses.",
        "hosts": "Servers, by name.",
        "models": "The model, by the word that the scenario uses.",
        "runtimes": "Presets of engines, by name.",
        "calibrations": "Layers of evidence about step times, by the name of the device.",
        "transfer": "``table``: transfer engines, registration and converters.",
        "regimes": "Named workloads, by name.",
    }
    parts = {"type": "object", "additionalProperties": {"type": "object"}}
    return {
        "type": "object",
        "description": (
            "What the run took from the catalogue, written by hetsim into a run directory; while "
            "the scenario is in use, it stands in for the catalogue."
        ),
        "properties": {room: {**parts, "description": text} for room, text in docs.items()},
        "additionalProperties": False,
        "examples": [{"calibrations": {"h100-sxm": {}}}],
    }
