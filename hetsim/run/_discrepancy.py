"""What the model leaves out, as a factor on a summary's figures, as measured rows show it.

``calibration/discrepancy.yaml`` holds what is left between predictions and measurements of pairs of
device and model that no constant was fitted on, once the spread of the parameters themselves is
taken out. It is a factor per metric, symmetric in its logarithm, with heavy tails (Student's t).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import sqrt
from typing import TYPE_CHECKING, Any

from hetsim.spec import data_root, spec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

__all__ = [
    "FILE",
    "KINDS",
    "Discrepancy",
    "Mixture",
    "Scale",
    "load_discrepancy",
    "no_discrepancy",
    "situation_of",
]

KINDS = ("tpot", "ttft", "throughput")
FILE = "discrepancy.yaml"

_FAR = 2.5
"""Normal scores beyond which a draw is cut: one in eighty, beyond which few rows say anything."""
_WAITS = 0.5
"""A run whose requests queue for more than this part of their mean TTFT is ruled by its queue."""


@spec
class Scale:
    """How far one metric is off in one situation; an empty word means any."""

    mode: str = ""
    """``aggregated`` or ``disaggregated``."""
    evidence: str = ""
    """``own`` (kernels measured on the device itself) or ``borrowed``."""
    load: str = ""
    """``flowing`` or ``queued`` (waiting rules the TTFT)."""
    scale: float
    """Of the logarithm."""
    dof: float
    """Degrees of freedom of Student's t; few mean heavy tails."""
    within_half: float
    """Relative error that half stays within, parameters and all, every pair counting alike."""
    rows: int
    pairs: int

    def fits(self, situation: Mapping[str, str]) -> bool:
        """Say whether this is a scale of the ``situation``."""
        return all(
            not word or situation.get(name) == word
            for name, word in (
                ("mode", self.mode),
                ("evidence", self.evidence),
                ("load", self.load),
            )
        )

    @property
    def words(self) -> int:
        """How special it is; a queue outweighs the rest."""
        return sum(map(bool, (self.mode, self.evidence, self.load, self.load)))


@spec
class Mixture:
    """Which part of a variance two designs for one model have in common, and which they have not.

    The parts add up to one.
    """

    common: float
    device: float
    engine: float
    layout: float


@spec
class Discrepancy:
    """The scales of every metric, how metrics go together, and what designs have in common."""

    date: str = ""
    source: str = ""
    metrics: Mapping[str, tuple[Scale, ...]]
    correlation: Mapping[str, float]
    """Of two metrics, such as ``tpot/ttft``."""
    shared: Mapping[str, Mixture]

    def at(self, situation: Mapping[str, str]) -> dict[str, Scale]:
        """Return the most special scale of every metric in a situation."""
        found = {}
        for metric, scales in self.metrics.items():
            fitting = [scale for scale in scales if scale.fits(situation)]
            if fitting:
                found[metric] = max(fitting, key=lambda scale: scale.words)
        return found

    def normals(self, plain: Array) -> Array:
        """Return independent normal scores (…, metrics) correlated as the metrics are."""
        import numpy as np

        matrix = np.eye(len(KINDS))
        for i, a in enumerate(KINDS):
            for j, b in enumerate(KINDS):
                if i != j:
                    known = self.correlation
                    matrix[i, j] = known.get(f"{a}/{b}", known.get(f"{b}/{a}", 0.0))
        spread, axes = np.linalg.eigh(matrix)
        root = axes * np.sqrt(np.clip(spread, 0.0, None))
        mixed: Array = plain @ root.T
        return mixed

    def factors(self, situation: Mapping[str, str], scores: Array) -> dict[str, Array]:
        """Return the factor of every metric for normal scores (draws, metrics)."""
        return {
            metric: _factor(scale, scores[:, KINDS.index(metric)])
            for metric, scale in self.at(situation).items()
        }

    def mixed(self, parts: Mapping[str, Array]) -> Array:
        """Return scores (draws, metrics) made of those of the parts: common, device, engine, ..."""
        import numpy as np

        first = next(iter(parts.values()))
        made: Array = np.zeros_like(first)
        for column, metric in enumerate(KINDS):
            mixture = self.shared.get(metric)
            for name, scores in parts.items():
                share = getattr(mixture, name) if mixture is not None else name == "layout"
                made[:, column] += sqrt(share) * scores[:, column]
        return made


def _factor(scale: Scale, scores: Array) -> Array:
    import numpy as np
    from scipy.special import ndtr, stdtrit

    if scale.scale <= 0.0:
        return np.ones_like(scores)
    share = ndtr(np.clip(scores, -_FAR, _FAR))
    made: Array = np.exp(scale.scale * stdtrit(scale.dof, share))
    return made


def no_discrepancy() -> Discrepancy:
    """Return a discrepancy of nothing: intervals of the parameters alone."""
    return Discrepancy(metrics={}, correlation={}, shared={})


@lru_cache(maxsize=1)
def load_discrepancy() -> Discrepancy:
    """Return the committed discrepancy; nothing where there is no file.

    Raises
    ------
    ScenarioError
        If the file is wrong, with every problem.
    """
    from hetsim.spec._check import build
    from hetsim.spec._yaml import read_yaml

    path = data_root("calibration") / FILE
    if not path.is_file():
        return no_discrepancy()
    data, marks = read_yaml(path)
    known = ("date", "source", "metrics", "correlation", "shared")
    return build(Discrepancy, {key: data[key] for key in known if key in data}, marks, str(path))


def situation_of(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return which scales a run's figures have, from its summary.

    >>> situation_of({"stages": {"a": {"role": "prefill"}}, "calibration_grade": "transferred",
    ...     "critical_path_s": {"queue_s": 0.1}, "ttft_s": {"mean": 1.0}})
    {'mode': 'disaggregated', 'evidence': 'borrowed', 'load': 'flowing'}
    """
    roles = {stage.get("role") for stage in summary["stages"].values()}
    queue, ttft = summary["critical_path_s"].get("queue_s", 0.0), summary["ttft_s"]["mean"]
    grade = summary["calibration_grade"]
    return {
        "mode": "aggregated" if roles <= {"both"} else "disaggregated",
        "evidence": "own" if grade in ("measured", "fitted", "stated") else "borrowed",
        "load": "queued" if queue > _WAITS * ttft else "flowing",
    }
