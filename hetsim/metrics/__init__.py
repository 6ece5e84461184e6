"""What a run leaves: record types, the tables' schema, and pure functions from tables to figures.

Read ``_schema.py`` first (every column, its unit, how it is derived), then ``_recorder.py`` (how
rows are collected), ``_summary.py`` (percentiles, goodput: functions of the tables), ``_stages.py``
(utilisation, critical path) and ``_verdict.py`` (the bottleneck in a line).
A new column is one entry in ``RAW`` and one line in its table's function.
"""

from hetsim.metrics._quantiles import Runs, columns, distribution, run_quantile, runs_mean
from hetsim.metrics._recorder import (
    TABLES,
    Recorder,
    pack_gap,
    pack_move,
    pack_request,
    pack_step,
    pack_transfer,
)
from hetsim.metrics._schema import RAW, STATUSES, PoolInfo, RunInfo, build_batch
from hetsim.metrics._severity import severities, worst_allowed
from hetsim.metrics._stages import PATH
from hetsim.metrics._summary import (
    PoolPower,
    SloSpec,
    good_requests,
    itl_runs,
    last_moment_s,
    summarise,
)

__all__ = [
    "PATH",
    "RAW",
    "STATUSES",
    "TABLES",
    "PoolInfo",
    "PoolPower",
    "Recorder",
    "RunInfo",
    "Runs",
    "SloSpec",
    "build_batch",
    "columns",
    "distribution",
    "good_requests",
    "itl_runs",
    "last_moment_s",
    "pack_gap",
    "pack_move",
    "pack_request",
    "pack_step",
    "pack_transfer",
    "run_quantile",
    "runs_mean",
    "severities",
    "summarise",
    "worst_allowed",
]
