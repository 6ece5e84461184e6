"""The engine: clock, alarms, shared links, random streams. SimPy, and nothing of LLMs.

Read ``_clock.py`` first (time, and the order of ties), then ``_fabric.py`` (bytes over shared
links; ``hetsim.topology`` holds the solver) and ``_standing.py`` (demands that go on).
``_streams.py`` is where randomness comes from, ``_instruments.py`` how a run is watched. An event
seen from outside: add its name to ``HOOKS``.
"""

from hetsim.engine._clock import LAST, LATE, NORMAL, URGENT, Alarm, Engine, Signal, Wake
from hetsim.engine._fabric import Fabric
from hetsim.engine._flow import Flow
from hetsim.engine._instruments import HOOKS, Instruments
from hetsim.engine._standing import SharedFabric, Standing
from hetsim.engine._streams import Streams

__all__ = [
    "HOOKS",
    "LAST",
    "LATE",
    "NORMAL",
    "URGENT",
    "Alarm",
    "Engine",
    "Fabric",
    "Flow",
    "Instruments",
    "SharedFabric",
    "Signal",
    "Standing",
    "Streams",
    "Wake",
]
