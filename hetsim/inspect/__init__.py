"""Looking at a scenario and at the catalogue without simulating anything.

Read ``_check.py`` first (what ``hetsim check`` puts together), then one file per topic:
``_facts.py`` (pools, offered load against capacity), ``_boundary.py`` (the boundary card),
``_risks.py``; ``_explain.py`` (operators of a typical step); ``_catalogue.py`` (profiles);
``_kv_state.py`` (one request's KV at one moment of a run). A new
risk is one function in ``_risks.py`` and a place in its list.
"""

from hetsim.inspect._calibration import calibration_rows
from hetsim.inspect._catalogue import catalogue, profile_rows
from hetsim.inspect._check import check
from hetsim.inspect._explain import explain
from hetsim.inspect._kv_state import KVState, kv_state

__all__ = [
    "KVState",
    "calibration_rows",
    "catalogue",
    "check",
    "explain",
    "kv_state",
    "profile_rows",
]
