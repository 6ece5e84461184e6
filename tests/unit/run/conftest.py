"""A queue with constant step times: quick to simulate, and known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hetsim.scenario import Loaded, load_data

QUEUE: dict[str, Any] = {
    "name": "queue",
    "model": "tiny-llama",
    "workload": {
        "kind": "poisson",
        "rate": "5 req/s",
        "requests": 300,
        "input": {"kind": "fixed", "tokens": 100},
        "output": {"kind": "fixed", "tokens": 1},
    },
    "pools": {
        "serve": {
            "role": "both",
            "accelerator": "h100",
            "instances": 1,
            "parallel": {"tp": 1},
            "precision": {"weights": "bf16", "compute": "bf16", "kv": "bf16"},
            "runtime": "ideal",
            "max_seqs": 1,
            "max_batched_tokens": 100,
            "estimator": {
                "kind": "constant",
                "prefill": "100 ms",
                "decode_step": "10 ms",
                "blocks": 10000,
            },
        }
    },
    "slo": {"ttft": "1 s", "tpot": "50 ms", "percentile": 90},
    "seed": 3,
}


@pytest.fixture
def queue() -> Callable[..., Loaded]:
    """``queue("workload.rate=4 req/s", ...)``: the queue, changed."""
    return lambda *sets: load_data(QUEUE, sets=sets)
