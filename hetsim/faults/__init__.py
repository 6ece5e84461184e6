"""What breaks when, as pure parts: kinds of faults, their strokes, their cost, deadlocks.

Read ``_catalogue.py`` first: every kind, what it strikes and which fields it knows. ``_strokes.py``
turns a fault into times and draws, ``_records.py`` keeps what a fault did, ``_waits.py`` finds
requests that wait for each other. No clock in here: :mod:`hetsim.stages` strikes. A new kind is an
entry of the catalogue and a method of the stage that owns what it strikes.
"""

from hetsim.faults._catalogue import CATALOGUE, Kind, fields_of
from hetsim.faults._records import FAULT_COLUMNS, FaultRecord, Prices, report
from hetsim.faults._strokes import hits, poisson_times
from hetsim.faults._waits import Deadlock, Store, Waiter, find_deadlock, stuck

__all__ = [
    "CATALOGUE",
    "FAULT_COLUMNS",
    "Deadlock",
    "FaultRecord",
    "Kind",
    "Prices",
    "Store",
    "Waiter",
    "fields_of",
    "find_deadlock",
    "hits",
    "poisson_times",
    "report",
    "stuck",
]
