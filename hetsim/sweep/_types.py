"""A sweep as a user writes it: one YAML key is one field, same name, same nesting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from hetsim.scenario import Name
from hetsim.spec import spec

if TYPE_CHECKING:
    Count: TypeAlias = int
    Fraction: TypeAlias = int
    Near: TypeAlias = int
    Interval: TypeAlias = float
    Round: TypeAlias = int
    Samples: TypeAlias = int
    Seed: TypeAlias = int
    UsdPerHour: TypeAlias = float
    Watts: TypeAlias = float
else:
    from pydantic import Field

    from hetsim.spec._check import UsdPerHour, Watts, real, whole

    Count = whole(at_least=0, at_most=10**6)
    Fraction = whole(at_least=2, at_most=10**6)
    Near = whole(at_least=0, at_most=4)
    Interval = real(above=0.0, at_most=0.999)
    Samples = whole(at_least=1, at_most=2_000_000)
    Round = whole(at_least=1, at_most=4096)
    Seed = whole(at_least=0, at_most=2**63 - 1)

__all__ = [
    "Axis",
    "Constraints",
    "Fractional",
    "FullFactorial",
    "LatinHypercube",
    "Listed",
    "Replications",
    "Response",
    "Screen",
    "Sobol",
    "SweepSpec",
]

MAX_POINTS = 2_000_000
"""Points of one sweep; more are sampled."""


@spec
class Axis:
    """One thing that varies: a path with its levels, or named groups of settings."""

    name: Name
    """What tables and reports call it."""
    path: str | None = None
    """Dotted path into the scenario, such as ``pools.prefill.accelerator``."""
    paths: tuple[str, ...] = ()
    """Several paths that are set to the same value together, in place of ``path``."""
    levels: tuple[Any, ...]
    """Values; without a path, groups ``{label: NAME, set: {PATH: VALUE, ...}}``."""
    labels: tuple[Name, ...] = ()
    """Names of the values in tables; left out: the values themselves."""
    role: Literal["decision", "condition"] | None = None
    """Decisions compete with each other within equal conditions. Left out: an axis that sets only
    ``workload``, ``slo`` or ``faults`` is a condition, any other a decision."""


@spec(kind="full", family="design")
class FullFactorial:
    """Every combination of levels."""

    kind: Literal["full"] = "full"


@spec(kind="fractional", family="design")
class Fractional:
    """A regular fraction of the full factorial: every level equally often."""

    kind: Literal["fractional"] = "fractional"
    fraction: Fraction
    """One of so many combinations: a product of primes that divide numbers of levels."""
    near_base: Near = 0
    """Adds the points that differ from the first levels in at most so many decisions, within every
    combination of conditions."""


@spec(kind="latin_hypercube", family="design")
class LatinHypercube:
    """Random points that use every level of each axis about equally often."""

    kind: Literal["latin_hypercube"] = "latin_hypercube"
    samples: Samples
    """How many points."""
    seed: Seed = 0
    """Which points."""


@spec(kind="sobol", family="design")
class Sobol:
    """A scrambled Sobol sequence: more samples continue fewer."""

    kind: Literal["sobol"] = "sobol"
    samples: Samples
    """How many points; a power of two fills the space evenly."""
    seed: Seed = 0
    """Which points."""


@spec(kind="list", family="design")
class Listed:
    """Exactly these points, each a level of every axis, by label."""

    kind: Literal["list"] = "list"
    points: tuple[Mapping[str, Any], ...]
    """The points, each a mapping from the name of every axis to the label of a level."""


if TYPE_CHECKING:
    Design = FullFactorial | Fractional | LatinHypercube | Sobol | Listed
else:
    Design = Annotated[
        FullFactorial | Fractional | LatinHypercube | Sobol | Listed, Field(discriminator="kind")
    ]


@spec
class Constraints:
    """What a point must respect; others are listed as excluded, and not simulated."""

    supply: Mapping[str, Count] = field(default_factory=dict)
    """At most so many accelerators, by name."""
    budget: UsdPerHour | None = None
    """All pools together; a point whose price is unknown is excluded."""
    power: Watts | None = None
    """All pools together at full load; a point whose power is unknown is excluded."""
    accelerators_at_least: Count | None = None
    """All pools together; left out: no limit."""
    accelerators_at_most: Count | None = None
    """All pools together; left out: no limit."""
    must_fit: bool = False
    """Exclude points whose model does not fit, rather than list them as infeasible."""
    legal_representation: bool = False
    """Exclude points that break a rule between fields (KV that the decode side cannot use, say)."""


@spec
class Replications:
    """Every point is run with each seed; equal seeds see equal requests (common random numbers)."""

    seeds: tuple[Seed, ...]
    """The seeds; every figure of a point is the mean over them."""


@spec
class Response:
    """What a point is judged by, as the mean over its seeds."""

    metric: str = "goodput_req_s"
    """A column of ``points.parquet``."""
    sense: Literal["max", "min"] | None = None
    """Left out: the usual sense of the metric."""
    measure: Literal["run", "capacity"] = "run"
    """One run at the scenario's rate, or the largest rate that meets the SLO (no screening)."""


@spec
class Screen:
    """What may not be lost when points are left out by their bound."""

    keep: Literal["winner", "front", "all"] = "winner"
    """The best point of each condition, its Pareto front over ``objectives``, or every point."""
    objectives: tuple[str, ...] = (
        "goodput_req_s",
        "cost_usd_per_mtok",
        "power_w",
        "ttft_s.p99",
    )
    """What the front is drawn over: figures of the summary."""
    round: Round = 16
    """Points that are simulated before the incumbents change."""
    calibration_interval: Interval | None = None
    """Take bounds at the favourable end of this interval (0.9, say) of every calibration parameter:
    then nothing is screened that a calibration within it could make the winner. Left out: the
    calibration as it stands, which is also what points are simulated with."""


@spec
class SweepSpec:
    """A base scenario, what varies, and how the points are chosen."""

    name: Name
    """Stands in reports."""
    description: str = ""
    """One or two sentences for people."""
    base: str | Mapping[str, Any]
    """A scenario file (relative to this file), a shipped name, or a scenario written here."""
    axes: tuple[Axis, ...]
    """What varies."""
    design: Design = FullFactorial()
    """Which combinations of levels become points; left out: all."""
    constraints: Constraints = Constraints()
    """What a point must respect."""
    replications: Replications | None = None
    """Left out: the base scenario's seed."""
    response: Response = Response()
    """What points are judged by."""
    screen: Screen = Screen()
    """What may be left out."""
