"""Who arrives when, with how many tokens, sharing which prefix.

Read ``_table.py`` (the requests), then ``_workload.py`` (what the engine gets: a table, or users in
a closed loop), then one file of each family: ``lengths/``, ``arrivals/``, ``loads/`` (the kinds of
``workload:`` in a scenario) and ``readers/`` (trace formats). Every draw belongs to an identity
(seed, stream name, id), see ``_streams.py``. A new part is one file, imported by its family's door.
"""

from hetsim.workload._build import build_workload, workload_spec
from hetsim.workload._streams import stream
from hetsim.workload._summary import prefix_reuse, trace_summary
from hetsim.workload._table import RequestTable
from hetsim.workload._transform import limit, scale_rate, warm_up, window
from hetsim.workload._workload import ClosedLoop, Turn, Workload
from hetsim.workload.lengths import mean_tokens
from hetsim.workload.loads import AnyWorkload
from hetsim.workload.loads.regime import regime_names, regime_workload
from hetsim.workload.readers import ReadOptions, detect_format, read_trace, trace_formats

__all__ = [
    "AnyWorkload",
    "ClosedLoop",
    "ReadOptions",
    "RequestTable",
    "Turn",
    "Workload",
    "build_workload",
    "detect_format",
    "limit",
    "mean_tokens",
    "prefix_reuse",
    "read_trace",
    "regime_names",
    "regime_workload",
    "scale_rate",
    "stream",
    "trace_formats",
    "trace_summary",
    "warm_up",
    "window",
    "workload_spec",
]
