"""The constants of engines that were fitted on serving rows: names, neutral values, bounds.

A constant has a key such as ``vllm.host_step_s``; those that all engines share begin with
``all.``. Everything else of a preset was read in an engine's files, and is never fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hetsim.runtimes import Runtime, get_runtime, runtime_names
from hetsim.spec import spec

__all__ = [
    "CONSTANTS",
    "Constant",
    "Constants",
    "engine_of",
    "keys_of",
    "nudged",
    "presets",
    "stated",
]

Constants = Mapping[str, float]
"""Values by key."""


@spec
class Constant:
    """One fitted constant: where a weak prior is centred, how weak it is, where it must stay."""

    neutral: float
    """What one would write without any serving row."""
    sd_log: float
    """Standard deviation of the prior, in the logarithm."""
    low: float
    high: float
    step: float
    """Relative change by which a row's sensitivity is found."""
    shared: bool = False
    """Whether all engines have the same value."""


CONSTANTS: Mapping[str, Constant] = {
    "host_step_s": Constant(neutral=1e-3, sd_log=0.7, low=1e-4, high=5e-3, step=0.25),
    "host_per_sequence_s": Constant(neutral=1e-5, sd_log=0.7, low=5e-7, high=1e-4, step=0.5),
    "request_overhead_s": Constant(neutral=2e-2, sd_log=0.7, low=5e-4, high=0.2, step=0.25),
    "admission_steps": Constant(neutral=2.0, sd_log=0.7, low=0.3, high=20.0, step=0.25),
    "kernel_scale_decode": Constant(neutral=1.0, sd_log=0.15, low=0.7, high=1.5, step=0.05),
    "kernel_scale_prefill": Constant(neutral=1.0, sd_log=0.15, low=0.7, high=1.5, step=0.05),
    "handoff_overhead_s": Constant(
        neutral=0.1, sd_log=0.7, low=5e-3, high=1.0, step=0.25, shared=True
    ),
    "handoff_steps": Constant(neutral=5.0, sd_log=0.7, low=0.3, high=60.0, step=0.25, shared=True),
    "request_overhead_moe_ratio": Constant(
        neutral=1.5, sd_log=0.4, low=0.7, high=4.0, step=0.25, shared=True
    ),
    "reserve_bytes": Constant(neutral=2.5e9, sd_log=0.4, low=5e8, high=1e10, step=0.4, shared=True),
    "floor_scale": Constant(neutral=0.7, sd_log=0.3, low=0.2, high=1.2, step=0.2, shared=True),
    "floor_scale_moe": Constant(neutral=0.7, sd_log=0.3, low=0.2, high=1.2, step=0.2, shared=True),
}
"""The neutral values: kernels as tabulated, one millisecond of host time a step, two steps until a
token is out (five where it is handed over), seven tenths of a floor in a captured graph; times of
the host are uncertain by a factor of two, kernels by 15 %."""

_OLD = "trtllm_2024"
_HANDED = ("handoff_overhead_s", "handoff_steps")


def engine_of(preset: str) -> str:
    """Return the engine whose constants a preset has.

    >>> engine_of("vllm_nixl_pull"), engine_of("trtllm_2024"), engine_of("trtllm_v2")
    ('vllm', 'trtllm_2024', 'trtllm')
    """
    if preset == _OLD:
        return _OLD
    engine = get_runtime(preset).engine
    return "trtllm" if engine == "tensorrt_llm" else engine


def _key(engine: str, field: str) -> str:
    return f"all.{field}" if CONSTANTS[field].shared else f"{engine}.{field}"


def stated(engines: tuple[str, ...] = ("sglang", "trtllm", _OLD, "vllm")) -> dict[str, float]:
    """Return the constants as the presets state them."""
    found: dict[str, float] = {}
    for engine in engines:
        preset = get_runtime(engine)
        for field in CONSTANTS:
            value = float(getattr(preset, field))
            if field in _HANDED:
                value = float(getattr(get_runtime("trtllm_cpp"), field))
            if value > 0:
                found.setdefault(_key(engine, field), value)
    return found


def presets(constants: Constants) -> dict[str, Runtime]:
    """Return every preset of those engines with ``constants`` in place of its own."""
    made: dict[str, Runtime] = {}
    fitted = {key.split(".")[0] for key in constants}
    for name in runtime_names():
        engine, preset = engine_of(name), get_runtime(name)
        if engine not in fitted:
            continue
        changed: dict[str, Any] = {}
        for field in CONSTANTS:
            value = constants.get(_key(engine, field))
            # What a preset switches off (no hand-off, no reserve) stays off.
            if value is not None and getattr(preset, field) > 0:
                changed[field] = value
        if changed:
            made[name] = replace(preset, **changed)
    return made


def keys_of(engine: str, load: str, *, moe: bool, apart: bool) -> dict[str, str]:
    """Return the constants that a row of a load can show, as field to key.

    Without a server in front (a static batch, an offline run) there is neither request overhead
    nor waiting for admission, and only there memory decides the batch.
    """
    skipped = {"floor_scale" if moe else "floor_scale_moe", "request_overhead_moe_ratio"}
    if load in ("static", "offline"):
        skipped |= {"request_overhead_s", "admission_steps", *_HANDED}
    else:
        skipped.add("reserve_bytes")
    skipped |= {"request_overhead_s", "admission_steps"} if apart else set(_HANDED)
    return {field: _key(engine, field) for field in CONSTANTS if field not in skipped}


def nudged(constants: Constants, key: str) -> dict[str, float]:
    """Return the constants with one of them raised by its step."""
    step = CONSTANTS[key.split(".")[1]].step
    return {**constants, key: constants[key] * (1.0 + step)}
