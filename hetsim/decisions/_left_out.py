"""What the model leaves out, for designs that are ranked: what they share, they are wrong in alike.

The discrepancy of a design is made of parts (:class:`~hetsim.run.Mixture`): one that every design
for the same model has in common, one of its devices, one of its engines, one of its own layout.
Parts are drawn by name, so that two designs on the same device are wrong by the same draw of the
device's part: it cancels in their ranking, and what they do not share does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hetsim.engine import Streams
from hetsim.run import Discrepancy, worst_pool_grade
from hetsim.scenario import Loaded, accelerator_of, runtime_of
from hetsim.stages import build_plan

__all__ = ["Subject", "factors_of", "subject_of"]

_KINDS = 3


class Subject(NamedTuple):
    """A design as its discrepancy knows it."""

    situation: Mapping[str, str]
    devices: str
    engines: str
    layout: str


def subject_of(loaded: Loaded, layout: str) -> Subject:
    """Return the subject of a scenario; ``layout`` names the design among those that are ranked."""
    scenario, folder = loaded.scenario, loaded.base_dir
    pools = scenario.pools.values()
    with loaded.locating():
        grade = worst_pool_grade(build_plan(scenario, folder))
    devices = sorted({accelerator_of(pool.accelerator, folder).name for pool in pools})
    engines = sorted({runtime_of(pool.runtime, folder).engine for pool in pools})
    return Subject(
        situation={
            "mode": "aggregated" if {p.role for p in pools} <= {"both"} else "disaggregated",
            "evidence": "own" if grade in ("measured", "fitted", "stated") else "borrowed",
            "load": "flowing",
        },
        devices=" ".join(devices),
        engines=" ".join(engines),
        layout=layout,
    )


def factors_of(known: Discrepancy, subject: Subject, sample: int) -> dict[str, float]:
    """Return the factors on TPOT, TTFT and throughput of a design in one sample."""
    streams = Streams(0)

    def scores(part: str) -> Any:
        drawn = streams.generator(f"discrepancy {part}", sample).standard_normal((1, _KINDS))
        return known.normals(drawn)

    parts = {
        "common": scores("common"),
        "device": scores(f"device {subject.devices}"),
        "engine": scores(f"engine {subject.engines}"),
        "layout": scores(f"layout {subject.layout}"),
    }
    found = known.factors(subject.situation, known.mixed(parts))
    return {metric: float(values[0]) for metric, values in found.items()}
