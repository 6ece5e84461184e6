"""What a runtime can be told, as data; what a scenario asks beyond it is a gap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from hetsim.spec import spec

__all__ = ["Abilities", "Gap"]


@spec
class Gap:
    """Something that a scenario asks and the real runtime does not do."""

    field: str
    asks: str
    does: str


@spec
class Abilities:
    """The words of one runtime for the choices of a scenario; a choice without a word is a gap."""

    title: str
    """Name and version, as a reader knows them."""
    protocols: Mapping[str, str]
    """Ways to hand KV over, by ``kind/variant``, and what they are called there."""
    preset: Mapping[str, str]
    """The runtime preset whose checks hold at first contact, by kind of protocol."""
    granularity: str
    """What crosses at once."""
    kv: Mapping[str, str]
    """Formats of the KV cache, and what they are called there."""
    weights: Mapping[str, str]
    """Formats that are made of a 16-bit checkpoint at load, by their option; other formats need a
    checkpoint that has them."""
    routers: Mapping[str, str]
    """Routing policies; those that are not exact are in ``near``."""
    near: Mapping[str, str] = field(default_factory=dict)
    """For routing policies that only come near: what is done instead."""
    makers: Mapping[str, str]
    """Makers of devices that are served, and what that takes ("" where nothing)."""
    cpu: str
    """What a CPU takes."""
    cpu_pages: int = 1
    """On a CPU, the block size must be a multiple of so many tokens."""
    on_error: tuple[str, ...]
    """What can be done about lost KV; empty where the engine has no choice."""
    on_error_does: str
    swap: bool = False
    """A preempted request can be kept in host memory."""
    partial_ep: bool = False
    """Expert parallelism narrower than all ranks."""
    queue_limit: bool = False
    queue_timeout: bool = False
    tiers: Mapping[str, str] = field(default_factory=dict)
    """Tiers below HBM that are written out, and how."""
    recovery: Mapping[str, str] = field(default_factory=dict)
    """Recovery policies, and how."""
    timers: Mapping[str, str] = field(default_factory=dict)
    """Timers that can be set, and where."""
    whole_seconds: bool = False
    """The lease is a whole number of seconds."""

    def pages(self, accelerator: str) -> int:
        """Return of how many tokens the block size must be a multiple on a device."""
        return self.cpu_pages if accelerator.startswith("cpu-") else 1
