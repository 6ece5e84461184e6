"""Who may read, write and free a block of KV at each moment: protocols as pure state machines.

Read ``_vocabulary.py`` first: it is the contract of every event and instruction between a machine
and its driver. Then ``pull_lease.py``, the simplest protocol; ``_machine.py`` is what all share.
A machine reads no clock and waits for nobody: ``machine.handle(event, at_s) -> instructions``.
To add a protocol, write one file that fills a table and calls ``protocol(...)``: the door imports
it, and the contract suite tests it; a file outside the package is imported before the run.
``_invariants.py`` names I1-I16 and counts violations.
"""

from importlib import import_module
from pkgutil import iter_modules

from hetsim.ownership import _vocabulary as vocabulary
from hetsim.ownership._automaton import Automaton, Configuration, Moved
from hetsim.ownership._invariants import (
    INVARIANT_TEXT,
    USUAL,
    Ledger,
    conservation,
    design_violations,
    lease_bound,
    no_deadlock,
    pool_key,
)
from hetsim.ownership._machine import PARTS, Instructions, Machine, Move, Plan, Run, Table
from hetsim.ownership._observe import OwnershipRow, observe
from hetsim.ownership._registry import (
    Protocol,
    get_plan,
    get_protocol,
    protocol,
    protocol_names,
    variant_names,
)
from hetsim.ownership._spec import (
    INVARIANTS,
    PROTOCOL_INVARIANTS,
    Facts,
    Options,
    Timers,
    Variant,
)

for _module in sorted(info.name for info in iter_modules(__path__)):
    if not _module.startswith("_"):
        import_module(f"{__name__}.{_module}")

__all__ = [
    "INVARIANTS",
    "INVARIANT_TEXT",
    "PARTS",
    "PROTOCOL_INVARIANTS",
    "USUAL",
    "Automaton",
    "Configuration",
    "Facts",
    "Instructions",
    "Ledger",
    "Machine",
    "Move",
    "Moved",
    "Options",
    "OwnershipRow",
    "Plan",
    "Protocol",
    "Run",
    "Table",
    "Timers",
    "Variant",
    "conservation",
    "design_violations",
    "get_plan",
    "get_protocol",
    "lease_bound",
    "no_deadlock",
    "observe",
    "pool_key",
    "protocol",
    "protocol_names",
    "variant_names",
    "vocabulary",
]
