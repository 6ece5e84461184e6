"""One engine instance as a pure machine: queues, KV blocks, the running batch, its steps.

Read ``_instance.py`` first (what a driver may call, and when it is asked), then ``_rank.py`` (the
batch as sums), ``_segment.py`` (k steps in closed form), ``_seq.py`` (the progress of a request).
Times come from a cost model, choices from a batcher; no SimPy in here.
"""

from hetsim.serving._instance import (
    BOUNDS,
    FINISHED,
    PREFILLED,
    STARTED,
    Instance,
    Outcome,
    StepTimes,
)
from hetsim.serving._lockstep import Lockstep
from hetsim.serving._rank import Rank, RankRules
from hetsim.serving._segment import Segment
from hetsim.serving._seq import NAN, Seq

__all__ = [
    "BOUNDS",
    "FINISHED",
    "NAN",
    "PREFILLED",
    "STARTED",
    "Instance",
    "Lockstep",
    "Outcome",
    "Rank",
    "RankRules",
    "Segment",
    "Seq",
    "StepTimes",
]
