"""A chosen design: the scenario, its plan, and which part of which instance starts where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hetsim.deploy._script import shell_name
from hetsim.errors import Problem, ScenarioError
from hetsim.model import Model
from hetsim.scenario import Loaded, Pool, Scenario, load_scenario, model_of
from hetsim.spec import spec
from hetsim.stages import PoolPlan, SimulationPlan, build_plan, placement_of

__all__ = ["Design", "Part", "load_design"]

WORDS = {"prefill": "prefill", "decode": "decode", "both": "serve"}
_CHECKPOINT = re.compile(r"config\.json of ([\w.-]+/[\w.-]*\w)")


@spec
class Part:
    """What one node runs of one instance."""

    pool: str
    role: str
    """prefill, decode or serve; files are named after it."""
    index: int
    """Number of the instance in its pool."""
    node: int
    devices: tuple[int, ...]
    rank: int
    """Number of this node within the instance."""
    nodes: int
    """Nodes of the instance."""
    head: int
    """The node of rank 0."""
    slot: int
    """Number of this part among those of its node; ports follow from it."""

    @property
    def name(self) -> str:
        """Name of its script, without the ending."""
        tail = f"-node-{self.rank}" if self.nodes > 1 else ""
        return f"{self.role}-{self.index}{tail}"


class Design:
    """A scenario with everything looked up that a start command needs."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.scenario: Scenario = loaded.scenario
        with loaded.locating():
            self.plan: SimulationPlan = build_plan(self.scenario, loaded.base_dir)
            self.model: Model = model_of(self.scenario.model, loaded.base_dir)
            self.parts = tuple(self._parts())
        self.checkpoint = self._checkpoint()

    def _checkpoint(self) -> str | None:
        """Return the folder or the public name of the weights; None where none is known."""
        stated = self.loaded.base_dir / self.scenario.model
        if "/" in self.scenario.model and stated.exists():
            return str((stated if stated.is_dir() else stated.parent).resolve())
        found = _CHECKPOINT.search(self.model.source)
        return found.group(1) if found else None

    def _parts(self) -> Iterator[Part]:
        rows = placement_of(self.scenario, self.loaded.base_dir).rows()
        rows = [row for row in rows if row[1] in self.scenario.pools]
        of: dict[tuple[str, int], list[int]] = {}
        for node, pool, index, _ in rows:
            of.setdefault((pool, index), []).append(node)
        used: dict[int, int] = {}
        for node, pool, index, devices in rows:
            nodes = of[pool, index]
            yield Part(
                pool=pool,
                role=WORDS[self.scenario.pools[pool].role],
                index=index,
                node=node,
                devices=_numbers(devices),
                rank=nodes.index(node),
                nodes=len(nodes),
                head=nodes[0],
                slot=used.get(node, 0),
            )
            used[node] = used.get(node, 0) + 1

    @property
    def apart(self) -> bool:
        """Whether prefill and decode are different pools."""
        return self.plan.boundary is not None

    @property
    def pools(self) -> tuple[tuple[str, Pool, PoolPlan], ...]:
        """Name, statement and plan of every pool, in the order in which a request passes them."""
        return tuple((plan.name, self.scenario.pools[plan.name], plan) for plan in self.plan.pools)

    def pool(self, name: str) -> tuple[Pool, PoolPlan]:
        """Return what is stated and what is planned of a pool."""
        plan = next(plan for plan in self.plan.pools if plan.name == name)
        return self.scenario.pools[name], plan

    def heads(self, role: str) -> list[Part]:
        """Return the parts of a role that answer requests: rank 0 of every instance."""
        return [part for part in self.parts if part.role == role and part.rank == 0]

    def model_variable(self, role: str) -> str:
        """Return the shell variable that holds the checkpoint of a role."""
        return f"MODEL_{shell_name(role)}"


def _numbers(text: str) -> tuple[int, ...]:
    """Return device numbers.

    >>> _numbers("0-2,5")
    (0, 1, 2, 5)
    """
    found: list[int] = []
    for piece in str(text).split(","):
        first, _, last = piece.strip().partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def load_design(scenario: str | Path) -> Loaded:
    """Return the scenario of a file, of a shipped name, or of a run directory.

    Raises
    ------
    ScenarioError
        If there is no such scenario, or the folder is no run directory.
    """
    place = Path(scenario)
    try:
        is_folder = place.is_dir()
    except (OSError, ValueError):
        is_folder = False
    if not is_folder:
        return load_scenario(str(scenario))
    inner = place / "scenario.resolved.yaml"
    if not inner.is_file():
        raise ScenarioError(
            Problem(
                "is not a run directory: scenario.resolved.yaml missing; give a scenario, or a "
                "folder that `hetsim run --out` has written",
                "",
                str(place),
            )
        )
    return load_scenario(inner)
