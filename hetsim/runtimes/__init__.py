"""Presets of real serving engines: scheduler, blocks, checks, protocol, timers, overheads.

Read ``_types.py`` first (what a preset says), then a file of ``hardware_profiles/runtimes``.
A new preset is a new YAML file there, usually ``base:`` and the lines that differ; a user's own
file works in the same way. ``ideal`` has no overhead at all and is for closed-form checks only.
"""

from hetsim.runtimes._library import (
    describe,
    get_runtime,
    load_runtime_file,
    runtime_names,
)
from hetsim.runtimes._sample import sampled
from hetsim.runtimes._types import Limits, Protocol, Runtime, SmallDevice

__all__ = [
    "Limits",
    "Protocol",
    "Runtime",
    "SmallDevice",
    "describe",
    "get_runtime",
    "load_runtime_file",
    "runtime_names",
    "sampled",
]
