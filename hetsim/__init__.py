"""hetsim: a discrete-event simulator for heterogeneous prefill-decode LLM inference.

>>> import hetsim
>>> result = hetsim.run("quickstart")          # doctest: +SKIP
>>> result.requests.ttft_s.describe()          # doctest: +SKIP

Everything is imported when it is first used, so that ``import hetsim`` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim._version import MODEL_VERSION, __version__

if TYPE_CHECKING:
    from hetsim.decisions import breakeven, interactions, ranking, robustness
    from hetsim.deploy import export, observe
    from hetsim.errors import HetsimError, InfeasibleError, InvariantViolated, ScenarioError
    from hetsim.inspect import KVState, check, explain, kv_state
    from hetsim.run import Result, load_result, run
    from hetsim.scenario import load_scenario as load
    from hetsim.sweep import SweepResult, load_sweep_result, sweep

_WHERE = {
    "HetsimError": "hetsim.errors",
    "InfeasibleError": "hetsim.errors",
    "InvariantViolated": "hetsim.errors",
    "KVState": "hetsim.inspect",
    "Result": "hetsim.run",
    "ScenarioError": "hetsim.errors",
    "SweepResult": "hetsim.sweep",
    "breakeven": "hetsim.decisions",
    "check": "hetsim.inspect",
    "explain": "hetsim.inspect",
    "export": "hetsim.deploy",
    "interactions": "hetsim.decisions",
    "kv_state": "hetsim.inspect",
    "load": "hetsim.scenario",
    "load_result": "hetsim.run",
    "load_sweep_result": "hetsim.sweep",
    "observe": "hetsim.deploy",
    "ranking": "hetsim.decisions",
    "robustness": "hetsim.decisions",
    "run": "hetsim.run",
    "sweep": "hetsim.sweep",
}
_NAMES = {"load": "load_scenario"}

__all__ = [
    "MODEL_VERSION",
    "HetsimError",
    "InfeasibleError",
    "InvariantViolated",
    "KVState",
    "Result",
    "ScenarioError",
    "SweepResult",
    "__version__",
    "breakeven",
    "check",
    "explain",
    "export",
    "interactions",
    "kv_state",
    "load",
    "load_result",
    "load_sweep_result",
    "observe",
    "ranking",
    "robustness",
    "run",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'hetsim' has no attribute {name!r}")
    from importlib import import_module

    room = import_module(_WHERE[name])
    # The import may have set the name already: ``hetsim.run`` is a room that can be called.
    return globals().get(name, getattr(room, _NAMES.get(name, name)))


def __dir__() -> list[str]:
    return sorted(__all__)
