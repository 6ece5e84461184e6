"""What a step model is asked with, and what it answers."""

from __future__ import annotations

from typing import NamedTuple

from hetsim.costs._calibration import Grade
from hetsim.errors import Problem, ScenarioError
from hetsim.precision import get_format
from hetsim.spec import spec

__all__ = [
    "DecodePoint",
    "GroupLinks",
    "Layout",
    "OperatorCost",
    "Overheads",
    "Precision",
    "RankLoad",
    "RanksPoint",
    "StepCost",
]

Chunk = tuple[int, int]
"""(new tokens, past tokens) of one prompt in a prefill or mixed step."""


@spec
class Layout:
    """How one instance is cut over ``tp * pp * dp`` devices.

    ``tp`` shards attention inside each of ``dp`` attention ranks; experts run over all
    ``tp * dp`` ranks of a stage, ``ep`` of them holding different experts and the remaining
    factor sharding each expert.

    Raises
    ------
    ScenarioError
        If a degree is below 1 or ``ep`` does not divide ``tp * dp``.

    >>> Layout(tp=2, dp=4, ep=8).devices, Layout(tp=2, dp=4, ep=4).expert_tp
    (8, 2)
    """

    tp: int = 1
    pp: int = 1
    ep: int = 1
    dp: int = 1

    def __post_init__(self) -> None:
        degrees = (("tp", self.tp), ("pp", self.pp), ("ep", self.ep), ("dp", self.dp))
        problems = [
            Problem(f"is {value}; must be a whole number of at least 1", name)
            for name, value in degrees
            if value < 1
        ]
        if not problems and (self.tp * self.dp) % self.ep:
            shared = self.tp * self.dp
            problems.append(Problem(f"is {self.ep}; must divide tp * dp = {shared}", "ep"))
        if problems:
            raise ScenarioError(problems)

    @property
    def ranks(self) -> int:
        """Devices of one pipeline stage."""
        return self.tp * self.dp

    @property
    def devices(self) -> int:
        """Devices of the instance."""
        return self.tp * self.pp * self.dp

    @property
    def expert_tp(self) -> int:
        """How many devices share one expert."""
        return self.tp * self.dp // self.ep


@spec
class Precision:
    """Number formats by role. Weights narrower than ``compute`` are dequantised on the fly.

    ``attention_weights`` is for checkpoints that quantise only a part (GPT-OSS: the experts;
    NVFP4 DeepSeek: everything but attention); None means ``weights``. ``activations`` is the format
    of what the expert exchange moves; None means ``compute``.
    """

    weights: str
    compute: str
    kv: str
    activations: str | None = None
    attention_weights: str | None = None

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        for role in ("weights", "compute", "kv", "activations", "attention_weights"):
            name = getattr(self, role)
            if name is None:
                continue
            try:
                get_format(name, role)
            except ScenarioError as error:
                problems += error.problems
        if problems:
            raise ScenarioError(problems)


@spec
class Overheads:
    """What an engine adds to, or takes from, isolated kernel times; runtime presets supply it.

    ``floor_scale`` is the part of the kernels' fixed time that survives in a captured graph.
    A pure decode step is scaled by ``kernel_scale_decode``; a step with prompt chunks by
    ``kernel_scale_prefill``, and it never falls below what its decodes alone would pay. With
    ``two_batch_overlap`` steps that exchange tokens with experts run in two halves.
    """

    host_step_s: float = 0.0
    host_per_sequence_s: float = 0.0
    kernel_scale_decode: float = 1.0
    kernel_scale_prefill: float = 1.0
    floor_scale: float = 1.0
    two_batch_overlap: bool = False


@spec
class GroupLinks:
    """How the devices of one instance reach each other beyond one scale-up domain.

    ``devices_per_domain`` is how many devices of the instance share a scale-up domain (a node, a
    rack); groups that fit use the scale-up link, larger ones cross the network, whose line is
    ``network_bytes_per_s`` per device. ``fabric_bytes_per_s`` is what the fabric, as it is
    simulated, yields to a device that is alone on it; None means the line.
    """

    devices_per_domain: int
    network_bytes_per_s: float | None = None
    network_latency_s: float = 0.0
    fabric_bytes_per_s: float | None = None


class DecodePoint(NamedTuple):
    """A decode step at one batch: ``time = const_s + sum(slopes_s[g] * context_sum[g])``.

    FLOPs and bytes follow the same form and count the whole instance.
    """

    const_s: float
    slopes_s: tuple[float, ...]
    flops_const: float
    flops_slopes: tuple[float, ...]
    bytes_const: float
    bytes_slopes: tuple[float, ...]
    bound_by: str


class RanksPoint(NamedTuple):
    """A decode step under attention DP: ``common_s + max over ranks of the rank's own point``.

    Each of ``floors``, if there are any, holds another point of every rank, and the maximum goes
    over them as well: what an exchange of tokens takes that compute does not cover.
    """

    common_s: float
    ranks: tuple[DecodePoint, ...]
    flops_common: float
    bytes_common: float
    floors: tuple[tuple[DecodePoint, ...], ...] = ()


class RankLoad(NamedTuple):
    """What one attention-DP rank does in a step."""

    chunks: tuple[Chunk, ...]
    batch: int
    context_sums: tuple[float, ...]


class StepCost(NamedTuple):
    """One step: seconds, model FLOPs and weight plus KV bytes read (whole instance)."""

    time_s: float
    flops: float
    bytes: float
    bound_by: str


@spec
class OperatorCost:
    """One row of ``hetsim explain``: an operator, how often, and where its time comes from.

    ``time_s``, ``flops`` and ``bytes`` are totals over ``count``; times of all rows of a step add
    up to the time of the step. ``flops`` and ``bytes`` are those of one device.
    """

    name: str
    kind: str
    count: float
    flops: float
    bytes: float
    time_s: float
    bound_by: str
    format: str
    grade: Grade
    source: str
