"""One engine instance as a pure machine: queues, KV blocks, the running batch, its steps.

Read ``_instance.py`` first (one boundary after the other), then ``_entrance.py`` (what a driver may
call), ``_rank.py`` (the batch as sums), ``_segment.py`` (k steps in closed form) and ``_seq.py``
(the progress of a request). An instance is built up in layers: ``_state.py`` its parts,
``_books.py`` the rows it writes, ``_memory.py`` its blocks. Times come from a cost model, choices
from a batcher; no SimPy in here. ``_crossing.py``: instances whose collectives use the network.
"""

from hetsim.serving._crossing import CrossingInstance, CrossingLockstep
from hetsim.serving._instance import Instance
from hetsim.serving._lockstep import Lockstep
from hetsim.serving._rank import Rank, RankRules
from hetsim.serving._segment import Segment
from hetsim.serving._seq import NAN, Seq
from hetsim.serving._state import (
    BOUNDS,
    FINISHED,
    PREEMPTED,
    PREFILLED,
    STARTED,
    Outcome,
    StepTimes,
)

__all__ = [
    "BOUNDS",
    "FINISHED",
    "NAN",
    "PREEMPTED",
    "PREFILLED",
    "STARTED",
    "CrossingInstance",
    "CrossingLockstep",
    "Instance",
    "Lockstep",
    "Outcome",
    "Rank",
    "RankRules",
    "Segment",
    "Seq",
    "StepTimes",
]
