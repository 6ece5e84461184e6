"""The things that a scenario names, looked up; those that do not exist become problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import (
    Accelerator,
    Host,
    get_accelerator,
    get_host,
    host_names,
    load_accelerator_file,
)
from hetsim.model import Model, get_model
from hetsim.runtimes import Runtime, get_runtime, load_runtime_file
from hetsim.scenario._types import Pool, Scenario
from hetsim.spec import on_shelf, shelved

__all__ = [
    "Parts",
    "accelerator_of",
    "devices_per_node",
    "host_of",
    "model_of",
    "pools_in_order",
    "runtime_of",
    "within",
]

T = TypeVar("T")


_YAML = (".yaml", ".yml")


def _own_file(name: str, base_dir: str | Path) -> Path | None:
    """Return the path of a user's own file or folder, if there is one of that name."""
    if not name or "\0" in name:
        return None
    path = Path(base_dir) / name
    try:
        return path if path.exists() else None
    except (OSError, ValueError):  # too long, or not encodable
        return None


def accelerator_of(name: str, base_dir: str | Path = ".") -> Accelerator:
    """Return the accelerator of that name, or of the profile at that path."""
    if shelved("accelerators", name) is not None:
        return get_accelerator(name)
    own = _own_file(name, base_dir) if name.endswith(_YAML) else None
    return load_accelerator_file(own) if own is not None else get_accelerator(name)


def runtime_of(name: str, base_dir: str | Path = ".") -> Runtime:
    """Return the runtime preset of that name, or the one at that path."""
    if shelved("runtimes", name) is not None:
        return get_runtime(name)
    own = _own_file(name, base_dir) if name.endswith(_YAML) else None
    return load_runtime_file(own) if own is not None else get_runtime(name)


def model_of(name: str, base_dir: str | Path = ".") -> Model:
    """Return the model of that name, or of the configuration at that path."""
    brought: Model | None = shelved("models", name)
    if brought is not None:
        return brought
    is_path = "/" in name or name.endswith((".json", *_YAML))
    own = _own_file(name, base_dir) if is_path else None
    return get_model(str(own)) if own is not None else get_model(name)


def host_of(pool: Pool, accelerator: Accelerator) -> Host | None:
    """Return the server around the accelerators: the stated one, or the usual one."""
    if pool.host is not None:
        return get_host(pool.host)
    brought = on_shelf("hosts")
    if brought is None or shelved("accelerators", accelerator.name) is None:
        brought = dict.fromkeys(host_names())
    hosts = (get_host(name) for name in brought)
    return next((host for host in hosts if host.accelerator == accelerator.name), None)


def devices_per_node(pool: Pool, accelerator: Accelerator) -> int:
    """Return how many accelerators a server holds: stated, usual, or a scale-up domain up to 8."""
    if pool.devices_per_node is not None:
        return pool.devices_per_node
    host = host_of(pool, accelerator)
    if host is not None:
        return host.devices_per_node
    domain = accelerator.scale_up.domain or 1
    return min(8, domain) if domain > 1 else 8


def pools_in_order(scenario: Scenario) -> tuple[str, ...] | None:
    """Return the pools as a request passes them, or None if they do not make a system."""
    by_role: dict[str, list[str]] = {"both": [], "prefill": [], "decode": []}
    for name, pool in scenario.pools.items():
        by_role[pool.role].append(name)
    counts = tuple(len(names) for names in by_role.values())
    if counts == (1, 0, 0):
        return (by_role["both"][0],)
    if counts == (0, 1, 1):
        return by_role["prefill"][0], by_role["decode"][0]
    return None


@contextmanager
def within(problems: list[Problem], path: str) -> Iterator[None]:
    """Collect the problems of what runs inside, at ``path`` unless they name a deeper place."""
    try:
        yield
    except ScenarioError as error:
        problems += [
            p if p.file else Problem(p.message, p.path if p.path.startswith(path) else path)
            for p in error.problems
        ]


class Parts:
    """What a scenario's names stand for; what could not be found is None and a problem."""

    def __init__(self, scenario: Scenario, base_dir: Path) -> None:
        self.scenario = scenario
        self.base_dir = base_dir
        self.problems: list[Problem] = []
        self.order = pools_in_order(scenario)
        self.model = self._find("model", model_of, scenario.model)
        self.accelerators: dict[str, Accelerator | None] = {}
        self.runtimes: dict[str, Runtime | None] = {}
        for name, pool in scenario.pools.items():
            path = f"pools.{name}"
            found = self._find(f"{path}.accelerator", accelerator_of, pool.accelerator)
            self.accelerators[name] = found
            self.runtimes[name] = self._find(f"{path}.runtime", runtime_of, pool.runtime)

    def _find(self, path: str, get: Callable[[str, Path], T], name: str) -> T | None:
        with within(self.problems, path):
            return get(name, self.base_dir)
        return None

    @property
    def apart(self) -> bool:
        """Whether prefill and decode are different pools."""
        return any(pool.role != "both" for pool in self.scenario.pools.values())
