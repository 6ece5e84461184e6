"""The family of protocols: found by kind, each with its variants, compiled once into plans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from hetsim.errors import ScenarioError, nearest
from hetsim.ownership._machine import Machine, Plan, Table
from hetsim.ownership._spec import Options, Timers, Variant
from hetsim.spec import kinds, lookup, register

FAMILY = "ownership"


@dataclass(frozen=True, slots=True)
class Protocol:
    """One ownership protocol: its table builder and its variants, the first being the default."""

    kind: str
    title: str
    build: Callable[[Variant, Options], Table]
    variants: tuple[Variant, ...]

    def variant(self, name: str = "") -> Variant:
        """Return the variant called ``name``, or the default.

        Raises
        ------
        ScenarioError
            If there is none; the message lists those there are.
        """
        for variant in self.variants:
            if variant.name == (name or self.variants[0].name):
                return variant
        known = [variant.name for variant in self.variants]
        raise ScenarioError(f"{self.kind} has no variant {name!r}; {nearest(name, known)}")


def protocol(made: Protocol) -> Protocol:
    """Enter a protocol in the family."""
    return register(FAMILY, made.kind)(made)


def protocol_names() -> tuple[str, ...]:
    """Return the kinds of protocols, sorted."""
    return kinds(FAMILY)


def get_protocol(kind: str) -> Protocol:
    """Return the protocol called ``kind``.

    Raises
    ------
    ScenarioError
        If there is none; the message lists those there are.
    """
    found: Protocol = lookup(FAMILY, kind)
    return found


def variant_names(kind: str) -> tuple[str, ...]:
    """Return the variants of a protocol, the default first."""
    return tuple(variant.name for variant in get_protocol(kind).variants)


@lru_cache(maxsize=512)
def get_plan(
    kind: str,
    variant: str = "",
    timers: Timers | None = None,
    options: Options | None = None,
) -> Plan:
    """Return the compiled plan of a variant; ``timers`` replace all the timers of the variant.

    Raises
    ------
    ScenarioError
        If the kind or the variant is unknown.

    >>> get_plan("pull_lease").variant.timers.lease_s
    30.0
    """
    found = get_protocol(kind)
    chosen = found.variant(variant)
    if timers is not None:
        chosen = replace(chosen, timers=timers)
    asked = options or Options()
    table = found.build(chosen, asked)
    # Only a pull has a state for it; for the others it is news that may come at any time.
    table.ignore_rest("Ds", " ".join(table.states["Ds"]), ["transfer_started"])
    return Plan(kind, chosen, asked, table)


__all__ = [
    "Machine",
    "Protocol",
    "get_plan",
    "get_protocol",
    "protocol",
    "protocol_names",
    "variant_names",
]
