"""Fitted constants are drawn as their fit left them; what is off stays off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetsim.errors import ScenarioError
from hetsim.runtimes import get_runtime, sampled

ERRORS = {"host_step_s": 0.2, "kernel_scale_decode": 0.1}


def _logs(**changes: object) -> np.ndarray:
    preset = replace(get_runtime("vllm"), **{"rse": ERRORS, "correlation": {}, **changes})
    found = [sampled(preset, np.random.default_rng(i)) for i in range(400)]
    return np.log([[getattr(x, name) / getattr(preset, name) for name in ERRORS] for x in found])


def test_draws_have_the_stated_errors_and_correlation() -> None:
    found = _logs(correlation={"kernel_scale_decode/host_step_s": -0.8})
    assert np.std(found, axis=0) == pytest.approx([0.2, 0.1], rel=0.12)
    assert np.corrcoef(found.T)[0, 1] == pytest.approx(-0.8, abs=0.06)


def test_draws_without_correlation_are_independent() -> None:
    assert abs(np.corrcoef(_logs().T)[0, 1]) < 0.15


def test_what_a_preset_switches_off_stays_off() -> None:
    preset = replace(get_runtime("vllm"), rse={"handoff_overhead_s": 0.5}, correlation={})
    assert sampled(preset, np.random.default_rng(1)) is preset


def test_a_preset_without_errors_is_itself() -> None:
    preset = get_runtime("ideal")
    assert sampled(preset, np.random.default_rng(1)) is preset


@pytest.mark.parametrize(
    "changes",
    [
        {"rse": {"nothing": 0.1}},
        {"rse": {"host_step_s": -1}},
        {"rse": {}, "correlation": {"a/b": 0}},
        {"rse": ERRORS, "correlation": {"host_step_s/kernel_scale_decode": 2}},
    ],
)
def test_impossible_errors_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ScenarioError, match=r"rse|correlation"):
        replace(get_runtime("vllm"), **{"correlation": {}, **changes})
