"""``hetsim new``: a commented scenario that runs as it is."""

from __future__ import annotations

import json
from math import floor, log10
from pathlib import Path

from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import Accelerator, get_accelerator
from hetsim.model import Model, active_parameters, parameters, tp_problems
from hetsim.precision import get_format
from hetsim.scenario._names import plain_name
from hetsim.scenario._parts import model_of

__all__ = ["starter"]

_ISL, _OSL = 1000, 200
_INSTANCES = 2
_BUSY_PREFILL, _BUSY_DECODE, _BATCH = 0.2, 0.25, 16


class _Side:
    """One pool of the starter: as many devices as the weights need, and what they can do."""

    def __init__(self, model: Model, name: str) -> None:
        self.name = name
        self.device = device = get_accelerator(name)
        self.format = _format(model, device)
        self.weight_bytes = parameters(model) * get_format(self.format).bytes_per_element
        memory = device.capacity_bytes or device.require("memory_bytes", "weights")
        self.tp = _degree(model, self.weight_bytes / (0.6 * memory))

    def prefill_rate(self, model: Model) -> float:
        """Return a modest number of prompts per second."""
        device, roof = self.device, get_format(self.format).roof
        peak = (
            device.peak(roof) or device.peak("bf16") or device.peak("fp16") or device.peak("fp32")
        )
        flop = 2.0 * active_parameters(model) * _ISL
        return _BUSY_PREFILL * (peak or 1e12) * self.tp * _INSTANCES / flop

    def decode_rate(self) -> float:
        """Return a modest number of answers per second."""
        rate = self.device.require("memory_bytes_per_s", "decode")
        steps = rate * self.tp / self.weight_bytes
        return _BUSY_DECODE * steps * _BATCH * _INSTANCES / _OSL

    def yaml(self) -> str:
        """Return the pool without its role."""
        return (
            f"accelerator: {self.name}\n    instances: {_INSTANCES}\n"
            f"    parallel: {{tp: {self.tp}}}           # devices of one instance\n"
            f"    precision: {{weights: {self.format}, compute: {self.format}, kv: bf16}}\n"
            "    runtime: vllm_nixl_pull\n"
        )


def _format(model: Model, device: Accelerator) -> str:
    """Return the format of the checkpoint if the device computes in it, else 16 bit."""
    if model.weight_format in device.native_formats:
        return model.weight_format
    return "bf16" if device.peak("bf16") else "fp16"


def _degree(model: Model, least: float) -> int:
    for tp in (1, 2, 4, 8, 16, 32):
        if tp >= least and not tp_problems(model, tp):
            return tp
    return max(tp for tp in (1, 2, 4, 8) if not tp_problems(model, tp))


def starter(
    name: str,
    pair: str = "h100:h200",
    model: str = "llama-3.1-8b",
    trace: str | None = None,
) -> str:
    """Return the text of a scenario for a prefill and a decode accelerator.

    The load is modest, so that it runs well below saturation; it is where studies begin, not a
    recommendation.

    Raises
    ------
    ScenarioError
        If a name is unknown, or ``pair`` is not two names with a colon.
    """
    title = Path(name.removesuffix(".yaml")).name
    try:
        plain_name(title)
    except ValueError as error:
        raise ScenarioError(Problem(str(error), "NAME")) from None
    givers, sign, takers = pair.partition(":")
    if not sign or not givers.strip() or not takers.strip():
        raise ScenarioError(
            Problem(f"{pair!r} is not a pair; write PREFILL:DECODE, such as h100:h200", "--pair")
        )
    found = model_of(model)
    sides = _Side(found, givers.strip()), _Side(found, takers.strip())
    rate = min(sides[0].prefill_rate(found), sides[1].decode_rate())
    return _TEXT.format(
        name=title,
        model=_quoted(model),
        workload=_trace(trace) if trace is not None else _poisson(rate, found.max_context),
        prefill=sides[0].yaml(),
        decode=sides[1].yaml(),
    )


def _two_digits(value: float) -> float:
    """Return ``value`` rounded down to two digits.

    >>> _two_digits(37.9), _two_digits(0.0389)
    (37.0, 0.038)
    """
    step = 10.0 ** (floor(log10(value)) - 1)
    return float(f"{floor(value / step) * step:.2g}")


def _quoted(text: str) -> str:
    return text if all(c.isalnum() or c in "-._/" for c in text) else json.dumps(text)


def _poisson(rate: float, context: int) -> str:
    isl, osl = min(_ISL, context // 4), min(_OSL, context // 8)
    # A long tail must stay inside a short context.
    tails = (
        ("", "") if context >= 32 * _ISL else (f", max: {context // 2}", f", max: {context // 4}")
    )
    return (
        "workload:\n"
        "  kind: poisson              # or gamma, mmpp, closed_loop, sessions, regime, trace, ...\n"
        f"  rate: {_two_digits(rate):g} req/s\n"
        "  requests: 500\n"
        f"  input: {{kind: lognormal, mean: {isl}, cv: 0.8{tails[0]}}}   # tokens\n"
        f"  output: {{kind: lognormal, mean: {osl}, cv: 0.8{tails[1]}}}\n"
    )


def _trace(path: str) -> str:
    return (
        "workload:\n"
        "  kind: trace\n"
        f"  path: {_quoted(path)}   # relative to this file\n"
        "  rate_scale: 1.0            # 2 = twice as fast\n"
        "  # limit: 5000              # the first requests only\n"
    )


_TEXT = """\
# yaml-language-server: $schema=scenario.schema.json
# (hetsim schema scenario > scenario.schema.json gives editors the names, units and limits.)
#
#   hetsim check {name}.yaml     does it fit, and can the pools share KV?
#   hetsim run {name}.yaml       simulate it
#   hetsim profiles              accelerators, models and runtimes to choose from
name: {name}
model: {model}

# Who asks what, when.
{workload}
# Where each stage computes. One pool with role both is a co-located system.
pools:
  prefill:
    role: prefill
    {prefill}  decode:
    role: decode
    {decode}
# What joins the servers. There is no default: a free link is nobody's assumption.
network: {{fabric: single_switch, nic: 400 Gbit/s, nics_per_node: 8}}

# How KV changes hands; what is left out is what the runtime does (lease, wire, convert_at, ...).
boundary: {{}}

# What users are promised: percent of all requests within both times.
slo: {{ttft: 2 s, tpot: 50 ms, percentile: 99}}

# prices: {{prefill: 2.5 USD/h, decode: 3 USD/h}}    # per accelerator-hour; else the profile's
seed: 1
"""
