"""``hetsim.search``: look for the front of a space too large to enumerate, with Optuna.

A trial is a point: Optuna proposes levels, the screen prunes what the front beats already, the
rest is simulated. Trials lie in a journal file that several processes share and a restart reads;
results lie in the same journal of finished points as a sweep's, so that none is simulated twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from hetsim.errors import HetsimError, Problem, ScenarioError
from hetsim.sweep._asked_prices import price_problems
from hetsim.sweep._journal import Journal
from hetsim.sweep._limits import broken_by
from hetsim.sweep._load import LoadedSweep, load_sweep, pool_names
from hetsim.sweep._lock import DirectoryLock
from hetsim.sweep._metrics import known_metrics, metric_problem
from hetsim.sweep._objectives import BOUNDED, beaten, front_rows, sense_of
from hetsim.sweep._points import failure_row, task_of
from hetsim.sweep._rounds import mean_of
from hetsim.sweep._screen import screen_arrays
from hetsim.sweep._sweep import make_folder
from hetsim.sweep._tables import Tables
from hetsim.sweep._workers import Workers, usable_cores
from hetsim.sweep._write import write_json

__all__ = ["search"]

Progress = Callable[[int, int, str], None]


def search(
    path: str | Path | LoadedSweep,
    *,
    out: str | Path,
    trials: int = 200,
    workers: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Try ``trials`` points in all and return the front over ``screen.objectives``.

    Points are asked for in batches of one per worker, told in the order of asking: with equal
    workers and seed, an undisturbed search is repeatable.

    Raises
    ------
    ScenarioError
        If the sweep is wrong, or has conditions: a search is within one workload.
    HetsimError
        If Optuna is not installed, or the disk is full.
    """
    loaded = path if isinstance(path, LoadedSweep) else load_sweep(path, enumerate_points=False)
    _refuse(loaded, trials)
    count = usable_cores() if workers is None else max(1, workers)
    folder = Path(out)
    with ExitStack() as stack:
        make_folder(folder)
        stack.enter_context(DirectoryLock(folder))
        journal = Journal(folder / "journal.jsonl")
        stack.callback(journal.close)
        pool = Workers(count)
        stack.callback(pool.close)
        found = _Search(loaded, folder, journal, pool, seed, progress).run(trials)
    write_json(found, folder / "search.json")
    return found


def _refuse(loaded: LoadedSweep, trials: int) -> None:
    problems = []
    known = known_metrics(pool_names(loaded.base, loaded.axes))
    for number, name in enumerate(loaded.spec.screen.objectives):
        wrong = metric_problem(name, f"screen.objectives[{number}]", known)
        problems += [wrong] if wrong is not None else []
    problems += price_problems(loaded.spec, loaded.base, loaded.axes, objectives=True)
    conditions = [axis.name for axis in loaded.axes if axis.condition and len(axis.levels) > 1]
    if conditions:
        names = ", ".join(conditions)
        problems.append(
            Problem(f"a search is within one condition; fix {names}, or use hetsim sweep", "axes")
        )
    if trials < 1:
        problems.append(Problem(f"must be at least 1, not {trials}", "--trials"))
    if problems:
        raise ScenarioError(problems)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise HetsimError(
            "hetsim search needs the extra 'search': pip install 'hetsim[search]'"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


class _Search:
    """A study, and the front that it has found so far."""

    def __init__(
        self,
        sweep: LoadedSweep,
        folder: Path,
        journal: Journal,
        pool: Workers,
        seed: int,
        progress: Progress | None,
    ) -> None:
        self.optuna = _optuna()
        self.sweep = sweep
        self.journal = journal
        self.pool = pool
        self.progress = progress
        self.objectives = sweep.spec.screen.objectives
        self.senses = np.array([sense_of(name) for name in self.objectives])
        self.study = self._study(folder / "optuna.jsonl", seed)
        self.started = time.perf_counter()
        self.front: list[tuple[dict[str, str], Any]] = []
        self.counts = {"simulated": 0, "screened": 0, "failed": 0}
        self._replay()

    def _study(self, path: Path, seed: int) -> Any:
        from optuna.storages.journal import JournalFileBackend

        storage = self.optuna.storages.JournalStorage(JournalFileBackend(str(path)))
        # The sampler's stream must move on when a search is resumed.
        done = len(path.read_bytes()) if path.exists() else 0
        sampler = self.optuna.samplers.NSGAIISampler(seed=(seed + done) % 2**32)
        directions = ["maximize" if sense > 0 else "minimize" for sense in self.senses]
        return self.optuna.create_study(
            storage=storage,
            sampler=sampler,
            study_name=self.sweep.spec.name,
            directions=directions,
            load_if_exists=True,
        )

    def _replay(self) -> None:
        """Take up what an earlier process has told the study."""
        states = self.optuna.trial.TrialState
        for trial in self.study.get_trials(deepcopy=False):
            status = trial.user_attrs.get("status")
            if trial.state == states.RUNNING:
                self.study._storage.set_trial_state_values(trial._trial_id, state=states.FAIL)
            if status in self.counts:
                self.counts[status] += 1
            if status == "simulated" and trial.values is not None:
                self.front.append((dict(trial.params), np.array(trial.values)))

    @property
    def tried(self) -> int:
        """Trials that have been told."""
        return sum(self.counts.values())

    def run(self, trials: int) -> dict[str, Any]:
        """Return the front after ``trials`` trials in all."""
        while self.tried < trials:
            size = min(self.pool.workers * 4, trials - self.tried)
            self._batch([self.study.ask() for _ in range(size)])
            if self.progress is not None:
                self.progress(self.tried, trials, f"{len(self._front())} on the front")
        return self._summary()

    def _batch(self, asked: list[Any]) -> None:
        points = np.array([self._point(trial) for trial in asked], dtype=np.int32)
        tables = Tables(self.sweep, points)
        bounds = screen_arrays(tables)
        hopes = [
            # Of what has no bound anything may be hoped.
            bounds.column(n).mean(axis=1) * s if n in BOUNDED else np.full(len(asked), np.inf)
            for n, s in zip(self.objectives, self.senses, strict=True)
        ]
        hope = np.where(np.isnan(np.stack(hopes, axis=1)), np.inf, np.stack(hopes, axis=1))
        ahead = np.array([values * self.senses for _, values in self.front])
        lost = beaten(hope, ahead) if len(ahead) else np.zeros(len(asked), dtype=bool)
        reasons = broken_by(self.sweep, tables)
        rows: dict[int, list[dict[str, Any]]] = {}
        todo = []
        for number in range(len(asked)):
            if number in reasons or tables.reason(number):
                rows[number] = [{"status": "failed", "reason": reasons.get(number, "")}]
            elif not lost[number]:
                todo.append(number)
        rows.update(self._simulate(points, todo))
        for number, trial in enumerate(asked):
            self._tell(trial, rows.get(number), hope[number] * self.senses)

    def _point(self, trial: Any) -> list[int]:
        chosen = []
        for axis in self.sweep.axes:
            label = trial.suggest_categorical(axis.name, list(axis.labels))
            chosen.append(axis.labels.index(label))
        return chosen

    def _simulate(self, points: Any, todo: list[int]) -> dict[int, list[dict[str, Any]]]:
        keys: dict[tuple[int, int], str] = {}
        rows: dict[tuple[int, int], dict[str, Any]] = {}
        tasks = {}
        for number in todo:
            for place, seed in enumerate(self.sweep.seeds):
                try:
                    task = task_of(self.sweep.resolve(points[number], seed), "run")
                except HetsimError as error:
                    rows[number, place] = failure_row(error)
                    continue
                keys[number, place] = task.key
                if task.key not in self.journal.rows:
                    tasks[task.key] = task
        for key, row in self.pool.run(tasks.values()):
            self.journal.append(key, row)
        seeds = range(len(self.sweep.seeds))
        return {n: [rows.get((n, s)) or self.journal.rows[keys[n, s]] for s in seeds] for n in todo}

    def _tell(self, trial: Any, rows: list[dict[str, Any]] | None, hope: Any) -> None:
        """Tell the study what became of a trial; a screened one is told its hope."""
        state = self.optuna.trial.TrialState
        if rows is None:
            # The hope is beaten, so the front stays what it is, and the sampler learns.
            trial.set_user_attr("status", "screened")
            self.counts["screened"] += 1
            self.study.tell(trial, [float(value) for value in hope])
            return
        values = mean_of(rows, self.objectives)
        if np.isnan(values).any():
            trial.set_user_attr("status", "failed")
            self.counts["failed"] += 1
            self.study.tell(trial, state=state.FAIL)
            return
        trial.set_user_attr("status", "simulated")
        self.counts["simulated"] += 1
        self.front.append((dict(trial.params), values))
        self.study.tell(trial, [float(value) for value in values])

    def _front(self) -> list[tuple[dict[str, str], Any]]:
        if not self.front:
            return []
        unique = list({tuple(levels.items()): (levels, v) for levels, v in self.front}.values())
        matrix = np.array([values * self.senses for _, values in unique])
        return [unique[row] for row in front_rows(matrix)]

    def _summary(self) -> dict[str, Any]:
        front = [
            {
                "levels": levels,
                "values": {n: float(v) for n, v in zip(self.objectives, values, strict=True)},
            }
            for levels, values in self._front()
        ]
        return {
            "name": self.sweep.spec.name,
            "trials": self.tried,
            **self.counts,
            "objectives": list(self.objectives),
            "front": front,
            "wall_s": time.perf_counter() - self.started,
            "processes": self.pool.workers,
        }
