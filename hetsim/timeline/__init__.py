"""A run on a time axis, for Perfetto: instances, links, requests, and who owns which KV bytes.

Read ``_tracks.py`` first (what becomes a slice, a counter, an arrow), then ``_trace.py`` (the
events of the trace format) and ``_lanes.py`` (overlapping things side by side).
"""

from hetsim.timeline._write import FILE, write_trace

__all__ = ["FILE", "write_trace"]
