"""What the bytes of a KV cache mean, where they lie, and whether another instance can use them.

Read ``_descriptor.py`` first (what fixes the bytes), then ``_runs.py`` (what is contiguous on both
sides), ``_verdict.py`` (identical, scatter, permute, requantise or never) and ``_drivers.py`` (what
that costs in bytes and counts). ``_detection.py`` says what each runtime does about a mismatch;
``_arrays.py`` does it all on real arrays. A new layout word needs its strides in ``_runs.py``.
"""

from hetsim.representation._build import LayoutWords, represent, represent_group
from hetsim.representation._descriptor import Declared, Representation, SeqShard
from hetsim.representation._detection import (
    MISMATCHES,
    Detection,
    Finding,
    detect,
    mismatches,
    outcome_of,
)
from hetsim.representation._drivers import BoundaryPolicy, CostDrivers, Flow, Traffic
from hetsim.representation._error_table import KV_ERROR, KvError
from hetsim.representation._verdict import SEVERITY, Verdict, run_bytes, verdict, verdict_groups
from hetsim.representation._words import ENCODINGS, Encoding, Tile, encoding_of

__all__ = [
    "ENCODINGS",
    "KV_ERROR",
    "MISMATCHES",
    "SEVERITY",
    "BoundaryPolicy",
    "CostDrivers",
    "Declared",
    "Detection",
    "Encoding",
    "Finding",
    "Flow",
    "KvError",
    "LayoutWords",
    "Representation",
    "SeqShard",
    "Tile",
    "Traffic",
    "Verdict",
    "detect",
    "encoding_of",
    "mismatches",
    "outcome_of",
    "represent",
    "represent_group",
    "run_bytes",
    "verdict",
    "verdict_groups",
]
