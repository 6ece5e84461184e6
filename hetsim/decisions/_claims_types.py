"""A claim as it is written: a statement, an experiment, the rule of its verdict, all as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from hetsim.spec import spec
from hetsim.sweep import Axis, Replications, Response

if TYPE_CHECKING:
    Share: TypeAlias = float
    Few: TypeAlias = int
    Positive: TypeAlias = float
else:
    from pydantic import Field

    from hetsim.spec._check import real, whole

    Share = Annotated[float, Field(ge=0.0, le=10.0)]
    Few = whole(at_least=0, at_most=10_000)
    Positive = real(above=0.0)

__all__ = [
    "Budget",
    "ClaimSpec",
    "Clause",
    "Comparison",
    "Joint",
    "Limit",
    "Observation",
    "Published",
    "Quality",
    "Test",
]

Where: TypeAlias = Mapping[str, tuple[str, ...]]


@spec
class Budget:
    """What makes the alternatives comparable."""

    rule: Literal["per_usd", "equal_cost", "same_hardware", "none"]
    """The response is per dollar; all cost the same an hour; all use the same devices; or nothing
    is bought (a question of correctness)."""
    within: Share = 0.05
    """Largest difference from the mean cost, for ``equal_cost``."""


@spec
class Quality:
    """Only alternatives of at most this composed error compete; each bound is a condition."""

    bounds: tuple[Positive, ...]
    """Relative errors, composed over weights, activations, KV and wire."""


@spec(kind="compare", family="claim_test")
class Comparison:
    """The best of ``first`` against the best of ``second``, condition by condition."""

    kind: Literal["compare"] = "compare"
    first: tuple[str, ...]
    """Alternatives by label; ``*`` stands for any text."""
    second: tuple[str, ...]
    expect: Literal["everywhere", "nowhere", "somewhere", "rising", "falling"]
    """``first`` wins in all conditions; in none; wins in some and loses in others; or comes to win
    (rising), or ceases to (falling), as ``along`` goes on."""
    along: str | None = None
    """The condition that ``rising`` and ``falling`` follow, in the order of its levels."""
    tolerance: Share = 0.02
    """A win is a gain above this."""
    metric: str | None = None
    """Left out: that of the response."""
    where: Where = field(default_factory=dict)
    """Only these levels of a condition, by its name."""


@spec
class Clause:
    """What a metric must be for some alternatives: in every run, or (``any_run``) in some."""

    alternatives: tuple[str, ...]
    metric: str
    at_least: float | None = None
    at_most: float | None = None
    where: Where = field(default_factory=dict)


@spec(kind="observe", family="claim_test")
class Observation:
    """Metrics that must lie within bounds, for every seed of every condition."""

    kind: Literal["observe"] = "observe"
    clauses: tuple[Clause, ...]


@spec(kind="limit", family="claim_test")
class Limit:
    """What the bottleneck of some alternatives must be."""

    kind: Literal["limit"] = "limit"
    alternatives: tuple[str, ...]
    constraints: tuple[
        Literal["compute", "bandwidth", "capacity", "link", "descriptors", "lease", "admission"],
        ...,
    ]
    """Any of these."""
    where: Where = field(default_factory=dict)


@spec(kind="joint", family="claim_test")
class Joint:
    """Pairs of decisions that interact, and pairs that do not, over all regimes together."""

    kind: Literal["joint"] = "joint"
    binding_at_least: Few = 1
    independent_at_least: Few = 1
    differ_by_regime: bool = True
    """At least one pair is binding in one regime and independent in another."""


if TYPE_CHECKING:
    Test = Comparison | Observation | Limit | Joint
else:
    Test = Annotated[Comparison | Observation | Limit | Joint, Field(discriminator="kind")]


@spec
class Published:
    """The published figure that a claim sets up."""

    row: str
    """Its row in the table of published claims."""
    figure: str
    """What was published, in words."""
    ratios: tuple[Positive | None, ...]
    """As a ratio, one per test; null where none was published."""
    measured: Literal["measured", "simulated", "modelled"]
    source: str
    differs: str
    """How this set-up differs from the published one."""


@spec
class ClaimSpec:
    """One piece of guidance as an experiment; base, axes, seeds and response are a sweep's."""

    name: str
    claim: str
    """The statement that the data supports, refutes, or makes depend on something."""
    why: str = ""
    """The mechanism that the statement supposes."""
    design: str = ""
    """What was fixed before any result was seen, and when."""
    base: str | Mapping[str, Any]
    axes: tuple[Axis, ...]
    replications: Replications
    response: Response
    budget: Budget
    quality: Quality | None = None
    tests: tuple[Test, ...]
    """All must hold."""
    published: Published | None = None
