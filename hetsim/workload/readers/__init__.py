"""Trace formats, one file each; ``detect_format`` tells them apart by their content.

Read ``mooncake.py`` (JSON lines) or ``azure.py`` (CSV) first: a format names its columns and its
mark; ``_assemble.py`` checks rows and builds the table. A new format is one file, imported below.
Sorted by arrival: azure, burstgpt, generic, llmservingsim, lmcache_agent, mooncake; a row that
goes back in time is refused. TraceLab is grouped by session and sorted here.
"""

from hetsim.workload.readers import (
    azure,
    burstgpt,
    generic,
    llmservingsim,
    lmcache_agent,
    mooncake,
    servegen,
    tracelab,
)
from hetsim.workload.readers._detect import detect_format, read_trace, trace_formats
from hetsim.workload.readers._options import ReadOptions

__all__ = [
    "ReadOptions",
    "azure",
    "burstgpt",
    "detect_format",
    "generic",
    "llmservingsim",
    "lmcache_agent",
    "mooncake",
    "read_trace",
    "servegen",
    "trace_formats",
    "tracelab",
]
