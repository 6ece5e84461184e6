"""A small prefill-decode scenario as text and as data."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PAIR = """\
name: pair
model: llama-3.1-8b
workload:
  kind: poisson
  rate: 5 req/s
  requests: 20
  input: {kind: fixed, tokens: 500}
  output: {kind: fixed, tokens: 20}
pools:
  prefill:
    role: prefill
    accelerator: h100
    instances: 2
    parallel: {tp: 1}
    precision: {weights: bf16, compute: bf16, kv: bf16}
    runtime: vllm_nixl_pull
  decode:
    role: decode
    accelerator: h200
    instances: 1
    parallel: {tp: 1}
    precision: {weights: bf16, compute: bf16, kv: bf16}
    runtime: vllm_nixl_pull
network: {fabric: single_switch, nic: 400 Gbit/s, nics_per_node: 8}
boundary: {}
slo: {ttft: 1 s, tpot: 30 ms}
"""


@pytest.fixture
def pair_text() -> str:
    return PAIR


@pytest.fixture(scope="session")
def _pair_once() -> Any:
    from hetsim.spec._yaml import parse_yaml

    return parse_yaml(PAIR)[0]


@pytest.fixture
def pair(_pair_once: Any) -> Any:
    """The same as plain data, to be changed at will."""
    return copy.deepcopy(_pair_once)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Write a text to ``s.yaml`` and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "s.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write
