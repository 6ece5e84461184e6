"""Tables that bounds are gathered from: a row per distinct pool, condition and boundary.

Which axes matter to what follows from the paths they set: a pool's own section, the model, the
network and the prices make a side; workload and service level make a condition.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.errors import HetsimError
from hetsim.scenario import Scenario, apply_set, parse_key, pools_in_order
from hetsim.sweep._axes import Levels
from hetsim.sweep._demand import LATE, Demand, demand_of
from hetsim.sweep._handoff import handoff_of
from hetsim.sweep._load import LoadedSweep
from hetsim.sweep._sides import UNKNOWN_SIDE, Side, SideMaker
from hetsim.sweep._stages import (
    FREE_DECODE,
    FREE_PROMPT,
    DecodeBound,
    PromptBound,
    decode_bound,
    mix_bound,
    prompt_bound,
)

__all__ = ["Tables"]

Vector = npt.NDArray[np.float64]
Rows = dict[str, Any]
_FULL = 0.9
"""Part of the blocks up to which a request surely fits, where constant state takes some as well."""


class Tables:
    """Everything that the bounds of a sweep's points are gathered from."""

    def __init__(self, sweep: LoadedSweep, points: npt.NDArray[np.int32] | None = None) -> None:
        self.sweep = sweep
        self.points = sweep.points if points is None else points
        self.seeds = len(sweep.seeds)
        self.sides: list[Side] = []
        self._numbers: dict[Side, int] = {}
        self._maker = SideMaker(sweep.base.base_dir, sweep.spec.screen.calibration_interval)
        self.cond, self._demands = self._conditions()
        self.first, self.last = self._place_sides()
        self._boundaries()
        self._fill()

    # -- what a point is made of -----------------------------------------------------------

    def _scenario(self, point: npt.NDArray[np.int32]) -> Scenario | None:
        """Return the scenario of a point, its fields checked and its rules not."""
        from copy import deepcopy

        from hetsim.spec._check import build

        data = deepcopy(self.sweep.base.data)
        try:
            for path, value in self.sweep.sets(point):
                apply_set(data, path, value)
            return build(Scenario, data)
        except HetsimError:
            return None

    def _keys(self, wanted: tuple[str, ...]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return a row for each combination of the axes that touch ``wanted``, and each point's."""
        columns = [i for i, axis in enumerate(self.sweep.axes) if _touches(axis, wanted)]
        if not columns:
            return np.zeros(1, dtype=np.int64), np.zeros(len(self.points), dtype=np.int64)
        code = np.zeros(len(self.points), dtype=np.int64)
        for column in columns:
            code = code * len(self.sweep.axes[column].levels) + self.points[:, column]
        _, first, back = np.unique(code, return_index=True, return_inverse=True)
        return first, back

    def _conditions(self) -> tuple[npt.NDArray[Any], list[list[Demand | None]]]:
        from dataclasses import replace

        rows, back = self._keys(("workload", "slo"))
        demands: list[list[Demand | None]] = []
        for row in rows:
            scenario = self._scenario(self.points[row])
            found: list[Demand | None] = []
            for seed in self.sweep.seeds:
                try:
                    one = replace(scenario, seed=seed) if scenario is not None else None
                    found.append(demand_of(one, self.sweep.base.base_dir) if one else None)
                except HetsimError:
                    found.append(None)
            demands.append(found)
        return back, demands

    def _place_sides(self) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the numbers of the first and the last pool of every point."""
        order = pools_in_order(self.sweep.base.scenario) or ()
        shared = ("model", "network", "prices", "pools", "placement")
        moves = any(_touches(axis, ("pools",)) for axis in self.sweep.axes)
        placed = []
        for position in (0, -1):
            names = ("pools.*",) if moves or not order else (f"pools.{order[position]}",)
            rows, back = self._keys((*shared, *names))
            numbers = np.array([self._side(row, position) for row in rows])
            placed.append(numbers[back])
        return placed[0], placed[1]

    def _side(self, row: int, position: int) -> int:
        """Return the number of the side that a point has at one end."""
        scenario = self._scenario(self.points[row])
        order = pools_in_order(scenario) if scenario is not None else None
        if scenario is None or order is None or scenario.placement is not None:
            # Where the decode pool computes prompts, neither pool bounds them.
            return self._enter(UNKNOWN_SIDE)
        demand = self._demands[self.cond[row]][0]
        try:
            side = self._maker.side(scenario, order[position], demand)
        except HetsimError:
            return self._enter(UNKNOWN_SIDE)
        return self._enter(side)

    def _enter(self, side: Side) -> int:
        number = self._numbers.setdefault(side, len(self.sides))
        if number == len(self.sides):
            self.sides.append(side)
        return number

    # -- the boundary ----------------------------------------------------------------------

    def _boundaries(self) -> None:
        """Note for each pair of a first pool and a boundary what its hand-off may do."""
        rows, back = self._keys(("boundary", "faults", "recovery", "placement", "horizon"))
        scenarios = [self._scenario(self.points[row]) for row in rows]
        kinds = len(rows)
        apart = self.first != self.last
        code = (self.first * kinds + back) * 2 + apart
        found, self._handoff = np.unique(code, return_inverse=True)
        folder = self.sweep.base.base_dir
        hands = [
            handoff_of(
                scenarios[pair // 2 % kinds], self.sides[pair // 2 // kinds], bool(pair % 2), folder
            )
            for pair in found.tolist()
        ]
        self._ends = np.array([hand.always_ends for hand in hands])
        self._wire = np.array([hand.wire_ratio for hand in hands])
        self._links = np.array([hand.crosses for hand in hands])

    # -- tables ----------------------------------------------------------------------------

    def _fill(self) -> None:
        kinds = len(self._demands)
        self._prompt_rows = self._pairs(self.first * kinds + self.cond, self._prompt_row)
        self._decode_rows = self._pairs(self.last * kinds + self.cond, self._decode_row)
        self._demand_rows = self._demand_table()
        self._side_columns = {
            "usd_per_h": _column([side.usd_per_h for side in self.sides]),
            "idle_w": _column([side.idle_w for side in self.sides]),
            "max_w": _column([side.max_w for side in self.sides]),
            "devices": _column([float(side.devices) for side in self.sides]),
            "wait_s": _column([side.wait_s for side in self.sides]),
            "nic": _column([side.nic_bytes_per_s for side in self.sides]),
            "ends": np.array([side.always_ends for side in self.sides]),
        }

    def _pairs(self, code: npt.NDArray[Any], make: Any) -> tuple[Rows, npt.NDArray[Any]]:
        """Return columns ``[pairs, seeds, ...]``, and which pair each point has."""
        found, back = np.unique(code, return_inverse=True)
        kinds = len(self._demands)
        rows = [
            [make(self.sides[pair // kinds], demand) for demand in self._demands[pair % kinds]]
            for pair in found.tolist()
        ]
        names = rows[0][0].keys()
        return {n: np.array([[one[n] for one in row] for row in rows]) for n in names}, back

    def _prompt_row(self, side: Side, demand: Demand | None) -> Rows:
        if side.engine is None or demand is None:
            return {**_as_row(FREE_PROMPT), "known": False, "fits": False, "mix_s": 0.0, "kv": 0.0}
        rules = side.engine.plan.rules
        curve = side.engine.prompts(int(demand.isl.max()))
        cached = rules.unit_blocks > 0
        made = prompt_bound(curve, side.instances, side.overhead_s, demand, cached)
        mix = 0.0
        if side.role == "both":
            mix = mix_bound(curve, side.engine.decodes, side.instances, demand, cached).busy_s
        more = {
            "known": True,
            "fits": _fits(side, demand),
            "mix_s": mix,
            "kv": _moved(side, demand),
        }
        return {**_as_row(made), **more}

    def _decode_row(self, side: Side, demand: Demand | None) -> Rows:
        if side.engine is None or demand is None:
            return {**_as_row(FREE_DECODE), "known": False, "fits": False, "kv": 0.0}
        start = float(demand.arrival_s[0]) - demand.measured_from_s
        made = decode_bound(side.engine.decodes, side.instances, start, demand)
        shared = side.engine.plan.rules.unit_blocks > 0
        kv = 0.0 if shared else _moved(side, demand)
        return {**_as_row(made), "known": True, "fits": _fits(side, demand), "kv": kv}

    def _demand_table(self) -> Rows:
        prompts, decodes = self._prompt_rows[0], self._decode_rows[0]
        least = float(prompts["least_s"].min() + decodes["least_s"].min())
        rows = [[_demand_row(demand, least) for demand in row] for row in self._demands]
        return {n: np.array([[one[n] for one in row] for row in rows]) for n in rows[0][0]}

    # -- gathers ---------------------------------------------------------------------------

    def prompt_rows(self, rows: Any, seed: int) -> Rows:
        """Return the columns of the first pool of points."""
        columns, back = self._prompt_rows
        return {name: column[back[rows], seed] for name, column in columns.items()}

    def decode_rows(self, rows: Any, seed: int) -> Rows:
        """Return the columns of the last pool of points."""
        columns, back = self._decode_rows
        return {name: column[back[rows], seed] for name, column in columns.items()}

    def demand_rows(self, rows: Any, seed: int) -> Rows:
        """Return the columns of the conditions of points."""
        return {name: column[self.cond[rows], seed] for name, column in self._demand_rows.items()}

    def _apart(self, rows: Any) -> npt.NDArray[np.bool_]:
        apart: npt.NDArray[np.bool_] = self.first[rows] != self.last[rows]
        return apart

    def link_s(self, rows: Any, seed: int) -> Vector:
        """Return the seconds that the NICs of one side need for all KV that is handed over."""
        given = self.prompt_rows(rows, seed)["kv"] * np.minimum(
            1.0, self._wire[self._handoff[rows]]
        )
        taken = self.decode_rows(rows, seed)["kv"]
        nic = self._side_columns["nic"]
        rate = np.minimum(nic[self.first[rows]], nic[self.last[rows]])
        crosses = self._apart(rows) & self._links[self._handoff[rows]]
        seconds: Vector = np.where(crosses, np.minimum(given, taken) / rate, 0.0)
        return seconds

    def wait_s(self, rows: Any) -> Vector:
        """Return the shortest wait for the decode pool's steps, where that is another pool."""
        wait: Vector = np.where(
            self._apart(rows), self._side_columns["wait_s"][self.last[rows]], 0.0
        )
        return wait

    def mix_s(self, rows: Any, seed: int) -> Vector:
        """Return the seconds that a co-located pool needs for prompts and answers together."""
        mixed: Vector = np.where(self._apart(rows), 0.0, self.prompt_rows(rows, seed)["mix_s"])
        return mixed

    def all_end(self, rows: Any) -> npt.NDArray[np.bool_]:
        """Return where no request may be turned away, given up or lost."""
        ends = self._side_columns["ends"]
        found: npt.NDArray[np.bool_] = ends[self.first[rows]] & ends[self.last[rows]]
        found &= self._ends[self._handoff[rows]]
        return found

    def _sum(self, name: str, rows: Any) -> Vector:
        column = self._side_columns[name]
        total: Vector = column[self.first[rows]] + np.where(
            self._apart(rows), column[self.last[rows]], 0.0
        )
        return total

    def usd_per_h(self, rows: Any) -> Vector:
        """Return dollars per hour, NaN where unknown."""
        return self._sum("usd_per_h", rows)

    def idle_w(self, rows: Any) -> Vector:
        """Return watts at idle, NaN where unknown."""
        return self._sum("idle_w", rows)

    def max_w(self, rows: Any) -> Vector:
        """Return watts at full load, NaN where unknown."""
        return self._sum("max_w", rows)

    def devices(self, rows: Any, accelerator: str | None = None) -> Vector:
        """Return accelerators, of one kind or of all."""
        column = np.array(
            [s.devices if accelerator in (None, s.accelerator) else 0 for s in self.sides], float
        )
        total: Vector = column[self.first[rows]] + np.where(
            self._apart(rows), column[self.last[rows]], 0.0
        )
        return total

    def offered_req_s(self, row: int, seed: int) -> float:
        """Return the rate at which measured requests arrive; NaN in a closed loop."""
        demand = self._demands[self.cond[row]][seed]
        if demand is None:
            return float("nan")
        span = float(demand.arrival_s[-1]) - demand.measured_from_s
        return len(demand.arrival_s) / span if span > 0.0 else float("inf")

    def reasons(self) -> dict[int, str]:
        """Return the reason of every point whose pools cannot be built."""
        bad = np.array([bool(side.reason) for side in self.sides])
        rows = np.flatnonzero(bad[self.first] | bad[self.last]).tolist()
        return {row: self.reason(row) for row in rows}

    def reason(self, row: int) -> str:
        """Return why a point cannot run, as far as its pools tell; empty where they do not."""
        reasons = dict.fromkeys(self.sides[at].reason for at in (self.first[row], self.last[row]))
        return "; ".join(reason for reason in reasons if reason)


def _as_row(bound: PromptBound | DecodeBound) -> Rows:
    return dict(bound._asdict())


def _column(values: list[float | None]) -> Vector:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _touches(axis: Levels, wanted: tuple[str, ...]) -> bool:
    """Say whether an axis sets something in one of the sections.

    ``pools`` is the set of pools and their roles, ``pools.NAME`` one pool, ``pools.*`` any.
    """
    for path in axis.paths:
        parts = [str(part) for part in parse_key(path)]
        found = {parts[0]}
        if parts[0] == "pools" and len(parts) > 1:
            whole = len(parts) == 2 or parts[2] == "role"
            found = {f"pools.{parts[1]}", "pools.*"} | ({"pools"} if whole else set())
        elif parts[0] == "pools":
            found = {"pools", "pools.*"}
        if found & set(wanted):
            return True
    return False


def _fits(side: Side, demand: Demand) -> bool:
    """Say whether the longest request is surely let in."""
    assert side.engine is not None
    limit = side.engine.max_tokens
    if side.engine.plan.rules.fixed_blocks:
        limit = int(limit * _FULL)
    return demand.longest <= limit


def _moved(side: Side, demand: Demand) -> float:
    """Return the KV bytes that are handed over, the last prompt token of each left out."""
    handed = demand.steps >= 1.0
    tokens = np.maximum(demand.isl[handed] - 1.0, 0.0)
    return sum(
        size * float((tokens if window is None else np.minimum(tokens, window)).sum())
        for window, size in side.kv_bytes
    )


def _demand_row(demand: Demand | None, least_s: float) -> Rows:
    if demand is None:
        free = {"start_s": 0.0, "measured_from_s": 0.0, "requests": np.inf, "some_req_s": np.inf}
        return {**free, "output_tokens": np.inf, "late_s": (0.0,) * LATE, "known": False}
    counts = np.arange(1, len(demand.arrival_s) + 1)
    since = demand.arrival_s - demand.measured_from_s + least_s
    late = demand.arrival_s[::-1][:LATE]
    return {
        "start_s": float(demand.arrival_s[0]),
        "measured_from_s": demand.measured_from_s,
        "requests": float(len(demand.arrival_s)),
        "some_req_s": float((counts / np.maximum(since, 1e-12)).max()),
        "output_tokens": max(demand.output_tokens, 1.0),
        "late_s": tuple(float(v) for v in np.append(late, np.full(LATE - len(late), late[-1]))),
        "known": True,
    }
