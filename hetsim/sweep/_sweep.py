"""``hetsim.sweep``: from a sweep file to a directory of finished points."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from hetsim._version import MODEL_VERSION, __version__
from hetsim.errors import HetsimError, Problem, ScenarioError
from hetsim.scenario import Loaded, resolve
from hetsim.sweep._designs import core_points
from hetsim.sweep._journal import Journal
from hetsim.sweep._limits import excluded
from hetsim.sweep._load import LoadedSweep, load_sweep
from hetsim.sweep._lock import DirectoryLock
from hetsim.sweep._points import Task, failure_row, task_of
from hetsim.sweep._result import SweepResult
from hetsim.sweep._rounds import Contest, mean_of, play
from hetsim.sweep._screen import screen_arrays
from hetsim.sweep._tables import Tables
from hetsim.sweep._workers import Workers, usable_cores
from hetsim.sweep._write import points_table, write_json, write_table

__all__ = ["Progress", "make_folder", "sweep"]

Progress = Callable[[int, int, str], None]
"""Told the finished runs, all that may come, and the best so far."""
Watch = Callable[[int, int, Callable[[], SweepResult]], None]
"""Told the same numbers, and how to get the result so far: its other points are ``waiting``."""

_OURS = ("journal.jsonl", "lock", "points.parquet")


def sweep(
    path: str | Path | Mapping[str, Any] | LoadedSweep,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> SweepResult:
    """Run a sweep and return its points; with ``out``, keep them there and resume what lies there.

    A mapping is a sweep written in Python; the files that it names lie in the current folder.
    ``workers`` processes (left out: one per usable core), or the Dask scheduler
    (``tcp://...``) or Ray cluster (``ray://...``) at ``cluster``.

    Raises
    ------
    ScenarioError
        If the sweep or its base scenario is wrong, or another process writes to ``out``.
    HetsimError
        If the disk is full: what is finished is kept.
    """
    loaded = path if isinstance(path, LoadedSweep) else load_sweep(path)
    count = usable_cores() if workers is None else workers
    if count < 1:
        raise ScenarioError(Problem(f"must be at least 1, not {count}", "--workers"))
    with ExitStack() as stack:
        store = _Store(Path(out) if out is not None else None, stack)
        pool = Workers(count, cluster)
        stack.callback(pool.close)
        return _Run(loaded, store, pool, progress, watch).run()


class _Store:
    """Where finished points are kept: a directory, or memory alone."""

    def __init__(self, folder: Path | None, stack: ExitStack) -> None:
        self.folder = folder
        self.journal: Journal | None = None
        self.rows: dict[str, dict[str, Any]] = {}
        if folder is None:
            return
        make_folder(folder)
        stack.enter_context(DirectoryLock(folder))
        self.journal = Journal(folder / "journal.jsonl")
        stack.callback(self.journal.close)
        self.rows = self.journal.rows

    def add(self, key: str, row: dict[str, Any]) -> None:
        if self.journal is not None:
            self.journal.append(key, row)
        else:
            self.rows[key] = row


def make_folder(folder: Path) -> None:
    """Make a directory of results, or refuse one that holds something else."""
    if folder.exists() and not folder.is_dir():
        raise ScenarioError(Problem("is a file; give a folder for --out", "", str(folder)))
    if folder.exists() and any(folder.iterdir()) and not any((folder / n).exists() for n in _OURS):
        raise ScenarioError(
            Problem("exists, and holds no sweep; give another --out", "", str(folder))
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ScenarioError(Problem(f"cannot be made: {error.strerror}", "", str(folder))) from None


class _Run:
    """One run of a sweep: bounds, rounds, rows."""

    def __init__(
        self,
        loaded: LoadedSweep,
        store: _Store,
        pool: Workers,
        progress: Progress | None,
        watch: Watch | None = None,
    ) -> None:
        self.sweep = loaded
        self.store = store
        self.pool = pool
        self.progress = progress
        self.watch = watch
        self.partial: Callable[[], SweepResult] | None = None
        self.hashes: dict[tuple[int, int], str] = {}
        self.scenarios: dict[str, str] = {}
        self.started = time.perf_counter()
        self.simulated = 0
        self.finished = 0
        self.settled = 0
        self.best: tuple[float, str] | None = None
        self.contest: Contest | None = None

    def run(self) -> SweepResult:
        """Return the result, written if there is a folder."""
        sweep = self.sweep
        tables = Tables(sweep)
        reasons = excluded(sweep, tables)
        bounds = screen_arrays(tables) if sweep.spec.response.measure == "run" else None
        broken = {row: reason for row, reason in tables.reasons().items() if row not in reasons}
        out = {*reasons, *broken}
        rows = np.setdiff1d(np.arange(len(sweep.points)), np.array(sorted(out), dtype=np.int64))
        self.settled = len(out)
        contest = self.contest = Contest(sweep, bounds)
        self.partial = lambda: self._partial(reasons, broken, tables, bounds)
        done, screened = play(contest, bounds, rows, self._simulate)
        made = self._rows(reasons, broken, done, set(screened))
        self._offer(made, tables)
        return self._write(points_table(sweep, made, bounds))

    # -- simulating ------------------------------------------------------------------------

    def _simulate(self, points: list[int]) -> dict[int, list[dict[str, Any]]]:
        """Return one row per seed of each point: from the store, or simulated now."""
        seeds = range(len(self.sweep.seeds))
        places = [(point, number) for point in points for number in seeds]
        refused: dict[tuple[int, int], dict[str, Any]] = {}
        where: dict[str, int] = {}
        for key, row in self.pool.run(self._tasks(places, refused, where)):
            self.store.add(key, row)
            self.simulated += 1
            self._note(where[key], row)
            self._tell(1)
        rows = self.store.rows
        return {
            point: [refused.get((point, n)) or rows[self.hashes[point, n]] for n in seeds]
            for point in points
        }

    def _tasks(
        self,
        places: list[tuple[int, int]],
        refused: dict[tuple[int, int], dict[str, Any]],
        where: dict[str, int],
    ) -> Iterator[Task]:
        """Yield what must be simulated; resolving points overlaps with the work of the others."""
        for point, number in places:
            try:
                task = self._task(point, self.sweep.seeds[number])
            except HetsimError as error:
                refused[point, number] = failure_row(error)
                self._tell(1)
                continue
            self.hashes[point, number] = task.key
            if task.key in self.store.rows or task.key in where:
                self._tell(1)
                continue
            where[task.key] = point
            yield task

    def _task(self, point: int, seed: int) -> Task:
        loaded = self.sweep.resolve(self.sweep.points[point], seed)
        task = task_of(loaded, self.sweep.spec.response.measure)
        self.scenarios.setdefault(task.key, _compact(loaded))
        return task

    def _tell(self, more: int) -> None:
        self.finished += more
        total = (len(self.sweep.points) - self.settled) * len(self.sweep.seeds)
        if self.progress is not None:
            self.progress(self.finished, total, self.best[1] if self.best else "")
        if self.watch is not None and self.partial is not None:
            self.watch(self.finished, total, self.partial)

    def _partial(
        self, reasons: dict[int, str], broken: dict[int, str], tables: Tables, bounds: Any
    ) -> SweepResult:
        """Return the points that are finished with every seed; the others are waiting."""
        rows, seeds = self.store.rows, range(len(self.sweep.seeds))
        done = {}
        for point in dict.fromkeys(point for point, _ in self.hashes):
            keys = [self.hashes.get((point, number)) for number in seeds]
            if all(key in rows for key in keys):
                done[point] = [rows[str(key)] for key in keys]
        settled = {*done, *reasons, *broken}
        left = set(range(len(self.sweep.points))) - settled
        made = self._rows(reasons, broken, done, set(), left)
        self._offer(made, tables)
        table = points_table(self.sweep, made, bounds)
        return SweepResult(table, self._manifest(), self.store.folder)

    def _note(self, point: int, row: dict[str, Any]) -> None:
        """Remember the best row so far, for people who watch."""
        assert self.contest is not None
        value = float(mean_of([row], self.contest.metrics)[0])
        score = value * float(self.contest.senses[0])
        if value == value and (self.best is None or score > self.best[0]):
            words = ", ".join(self.sweep.labels(self.sweep.points[point]).values())
            self.best = (score, f"{self.contest.metrics[0]} {value:.4g} ({words})")

    # -- rows ------------------------------------------------------------------------------

    def _rows(
        self,
        reasons: dict[int, str],
        broken: dict[int, str],
        done: dict[int, list[dict[str, Any]]],
        screened: set[int],
        waiting: Container[int] = (),
    ) -> list[list[dict[str, Any]]]:
        seeds = range(len(self.sweep.seeds))
        made = []
        for point in range(len(self.sweep.points)):
            if point in done:
                rows = [self._final(row, point, n) for n, row in enumerate(done[point])]
            elif point in screened:
                rows = [{"status": "screened", "reason": _SCREENED} for _ in seeds]
            elif point in waiting:
                rows = [{"status": "waiting", "reason": ""} for _ in seeds]
            elif point in reasons:
                rows = [{"status": "excluded", "reason": reasons[point]} for _ in seeds]
            else:
                row = {"status": "infeasible", "reason": broken[point]}
                rows = [self._relabel(row) for _ in seeds]
            made.append(rows)
        return made

    def _final(self, row: dict[str, Any], point: int, number: int) -> dict[str, Any]:
        return self._relabel({**row, "content_hash": self.hashes.get((point, number))})

    def _relabel(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a row with what the constraints call excluded."""
        limits = self.sweep.spec.constraints
        strict = {"infeasible": limits.must_fit, "illegal": limits.legal_representation}
        return {**row, "status": "excluded"} if strict.get(row["status"]) else row

    def _offer(self, made: list[list[dict[str, Any]]], tables: Tables) -> None:
        """Add the rate at which requests arrive to every row that was simulated."""
        for point, rows in enumerate(made):
            for number, row in enumerate(rows):
                if row["status"] == "simulated":
                    row["offered_req_s"] = tables.offered_req_s(point, number)

    # -- writing ---------------------------------------------------------------------------

    def _write(self, table: Any) -> SweepResult:
        folder, manifest = self.store.folder, self._manifest()
        if folder is not None:
            import pandas as pd

            names = sorted(self.scenarios)
            texts = [self.scenarios[name] for name in names]
            write_table(table, folder / "points.parquet")
            write_table(
                pd.DataFrame({"content_hash": names, "scenario": texts}),
                folder / "scenarios.parquet",
            )
            write_json(manifest, folder / "manifest.json")
        return SweepResult(table, manifest, folder)

    def _manifest(self) -> dict[str, Any]:
        spec = self.sweep.spec
        return {
            "name": spec.name,
            "hetsim_version": __version__,
            "model_version": MODEL_VERSION,
            "axes": {a.name: "condition" if a.condition else "decision" for a in self.sweep.axes},
            "seeds": list(self.sweep.seeds),
            "design": {
                "kind": spec.design.kind,
                "core_points": core_points(
                    spec.design, [len(a.levels) for a in self.sweep.axes], len(self.sweep.points)
                ),
            },
            "response": {
                "metric": spec.response.metric,
                "sense": spec.response.sense,
                "measure": spec.response.measure,
            },
            "screen": {
                "keep": spec.screen.keep,
                "objectives": list(spec.screen.objectives),
                "round": spec.screen.round,
                "calibration_interval": spec.screen.calibration_interval,
            },
            "sweep": json.loads(json.dumps(self.sweep.data, default=str)),
            "base": self.sweep.base.data,
            "simulated_now": self.simulated,
            "workers": self.pool.workers if self.pool.cluster is None else self.pool.cluster,
            "wall_s": time.perf_counter() - self.started,
        }


_SCREENED = "its bound lies below what is simulated already"


def _compact(loaded: Loaded) -> str:
    """Return a scenario as one line of JSON, which is YAML as well."""
    return json.dumps(resolve(loaded.scenario, loaded.base_dir), separators=(",", ":"))
