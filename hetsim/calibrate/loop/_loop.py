"""The loop as a whole: rounds of kernels, links and real runs; then fits, predictions, verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from hetsim.calibrate.loop._cases import Case, ModelKey, cases_of
from hetsim.calibrate.loop._compare import Row, compare, judge
from hetsim.calibrate.loop._kernels import Kernels, kernel_points, measure_slice
from hetsim.calibrate.loop._links import (
    LinkSample,
    fit_link_lines,
    on_core,
    probe_cases,
)
from hetsim.calibrate.loop._pair import Pair, Served, cores
from hetsim.calibrate.loop._predict import Predictor
from hetsim.calibrate.loop._record import manifest, plain_row, summary_groups
from hetsim.calibrate.loop._reference import reference_tokens
from hetsim.calibrate.loop._rounds import LEAST, Clock, Guard, good, more, shift
from hetsim.calibrate.loop._shapes import config_of
from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec

__all__ = ["LoopOptions", "run_loop"]

Tell = Callable[[str], None]
_BATCHES = (1, 4)
"""Batches of the narrow twin."""


@spec
class LoopOptions:
    """What a loop runs, and how long it may take."""

    sizes: tuple[str, ...] = ("30m", "90m")
    formats: tuple[str, ...] = ("bf16", "fp32")
    quick: bool = False
    rounds: int = 5
    spare: int = 3
    least: int = LEAST
    limit_s: float = 540.0
    """No round begins that would probably end later."""
    cases: tuple[Case, ...] = ()
    """Instead of the usual ones."""

    def __post_init__(self) -> None:
        problems = [
            Problem(f"no format {fmt!r}; allowed: bf16, fp32", "--format")
            for fmt in self.formats
            if fmt not in ("bf16", "fp32")
        ]
        if not self.sizes or not self.formats:
            problems.append(Problem("a loop needs at least one size and one format"))
        for size in self.sizes:
            try:
                config_of(size)
            except ScenarioError as error:
                problems += error.problems
        if problems:
            raise ScenarioError(problems)

    @classmethod
    def quickly(cls, **more: Any) -> LoopOptions:
        """Return the options of a loop of less than three minutes: one size, three rounds."""
        quick: dict[str, Any] = {
            "quick": True,
            "sizes": ("30m",),
            "rounds": 3,
            "spare": 2,
            "limit_s": 130.0,
        }
        return cls(**{**quick, **more})


class _Round:
    """Everything of one round."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.guard = Guard(())
        self.samples: Path | None = None
        self.links: list[LinkSample] = []
        self.twins: dict[ModelKey, dict[int, float]] = {}
        self.served: dict[str, Served] = {}


def run_loop(options: LoopOptions, *, date: str, tell: Tell = lambda _: None) -> dict[str, Any]:
    """Run the loop and return its record: rows, targets, verdict, rounds, versions.

    Raises
    ------
    ScenarioError
        If torch is missing.
    InfeasibleError
        If a process fails or hangs; neither is left behind.
    """
    from hetsim.calibrate.measure._device import import_torch

    torch_version = str(import_torch().__version__)
    cases = options.cases or cases_of(options.sizes, options.formats, quick=options.quick)
    with TemporaryDirectory(prefix="hetsim-loop-") as name:
        folder = Path(name)
        work = _Work(options, cases, folder, date, tell)
        with Pair(cases) as pair:
            rounds = work.rounds(pair)
        tokens = work.check_tokens(rounds[0])
        return work.conclude(rounds, tokens, torch_version)


class _Work:
    """One loop while it runs."""

    def __init__(
        self, options: LoopOptions, cases: tuple[Case, ...], folder: Path, date: str, tell: Tell
    ) -> None:
        self.options = options
        self.cases = cases
        self.folder = folder
        self.date = date
        self.tell = tell
        self.cores = cores()
        self.started = time.perf_counter()
        self.points = kernel_points(cases, quick=options.quick)
        self.probes = probe_cases(cases)

    # --- rounds ----------------------------------------------------------------------------------

    def rounds(self, pair: Pair) -> list[_Round]:
        """Run rounds until enough are good, all repeats are used, or the time is up."""
        made: list[_Round] = []
        longest_s = 0.0
        while more([one.guard for one in made], self.options.rounds, self.options.spare):
            began = time.perf_counter()
            if made and began - self.started + 1.1 * longest_s > self.options.limit_s:
                self.tell("time is up; what there is must do")
                break
            made.append(self._round(pair, len(made)))
            longest_s = max(longest_s, time.perf_counter() - began)
            moved = {clock: shift(made[-1].guard, [one.guard for one in made], clock)
                     for clock in _CLOCKS}  # fmt: skip
            self.tell(
                f"round {len(made)}: {time.perf_counter() - began:.0f} s; sentinel "
                f"{moved['cpu']:+.1%} on the CPU clock, {moved['wall']:+.1%} on the wall clock"
            )
        return made

    def _round(self, pair: Pair, number: int) -> _Round:
        one = _Round(number)
        before = pair.sentinels()
        # Measuring pins this process; afterwards it is as free as before.
        with _unpinned(self.cores):
            one.samples = measure_slice(self.folder / f"kernels-{number}", self.date, self.points)
        one.links = [pair.probe(case) for case in self.probes]
        for key in dict.fromkeys(case.model for case in self.cases):
            one.twins[key] = dict(zip(_BATCHES, pair.twin(key), strict=True))
        between = pair.sentinels()
        for case in _order(self.cases, number):
            one.served[case.name] = pair.run(case)
        one.guard = Guard((*before, *between, *pair.sentinels()))
        return one

    # --- after the rounds ------------------------------------------------------------------------

    def check_tokens(self, first: _Round) -> dict[str, Any]:
        """Compare the text of the first round with that of one process, where nothing is lost."""
        import torch

        torch.set_num_threads(1)
        checked, wrong = 0, []
        for case in self.cases:
            if case.handoff.side(case.model.format) != "none" or case.handoff.through != "tcp":
                continue
            if case.alone and case.asks[0].isl > _CHECKED_TOKENS:
                continue
            served = first.served[case.name]
            found = [row["output"] for row in served["requests"]]
            checked += 1
            if found != reference_tokens(case, served["steps"]):
                wrong.append(case.name)
        return {"checked": checked, "same": checked - len(wrong), "different": wrong}

    def conclude(
        self, rounds: Sequence[_Round], tokens: dict[str, Any], torch_version: str
    ) -> dict[str, Any]:
        """Fit, predict, compare, judge; return the record."""
        guards = [one.guard for one in rounds]
        usable: dict[Clock, list[bool]] = {clock: good(guards, clock) for clock in _CLOCKS}
        calm = [one for one, use in zip(rounds, usable["cpu"], strict=True) if use] or list(rounds)
        still = [one for one, use in zip(rounds, usable["wall"], strict=True) if use]
        self.tell("fitting and predicting")
        kernels = Kernels(
            [one.samples for one in calm if one.samples is not None], self.folder, self.date
        )
        links = fit_link_lines([one.links for one in still or rounds])
        predictor = Predictor(kernels, _twin_medians(calm), links, self.folder)
        # Without a good round the rows say what was seen, and the verdict that it proves nothing.
        shown = {clock: use if any(use) else [True] * len(use) for clock, use in usable.items()}
        rows: list[Row] = []
        for case in self.cases:
            seen = [one.served[case.name]["requests"] for one in rounds]
            rows += compare(case, seen, shown, predictor.predict(case))
        counts: dict[Clock, int] = {clock: sum(use) for clock, use in usable.items()}
        verdict, targets = judge(rows, counts, self.options.least)
        if tokens["same"] < tokens["checked"]:
            verdict = "missed"
        groups = {k: [asdict(g) for g in v] for k, v in summary_groups(rows).items()}
        return {
            "schema": 1,
            "date": self.date,
            "verdict": verdict,
            "quick": self.options.quick,
            "targets": targets,
            "tokens": tokens,
            "rounds": [
                {
                    "cpu_shift": round(shift(guard, guards, "cpu"), 4),
                    "wall_shift": round(shift(guard, guards, "wall"), 4),
                    "good_cpu": usable["cpu"][i],
                    "good_wall": usable["wall"][i],
                }
                for i, guard in enumerate(guards)
            ],
            "groups": groups,
            "rows": [plain_row(row) for row in rows],
            "links": {name: line._asdict() for name, line in links.items()},
            "hosts": _host_rows(self.cases, predictor),
            "kernels": _fit_rows(kernels),
            "manifest": manifest(kernels.accelerator.name, torch_version, self.cores),
        }


_CLOCKS: tuple[Clock, ...] = ("cpu", "wall")
_CHECKED_TOKENS = 256


def _unpinned(cores_: tuple[int | None, int | None]) -> AbstractContextManager[None]:
    return on_core(cores_[1])


def _order(cases: tuple[Case, ...], number: int) -> list[Case]:
    """Return the cases in an order of their own for every round."""
    import numpy as np

    return [cases[i] for i in np.random.default_rng([11, number]).permutation(len(cases))]


def _twin_medians(rounds: Sequence[_Round]) -> dict[ModelKey, dict[int, float]]:
    keys = rounds[0].twins
    return {
        key: {batch: median(one.twins[key][batch] for one in rounds) for batch in _BATCHES}
        for key in keys
    }


def _host_rows(cases: Sequence[Case], predictor: Predictor) -> list[dict[str, Any]]:
    made = {case.model: predictor.host(case.model) for case in cases}
    return [
        {**key._asdict(), "step_s": host.step_s, "per_sequence_s": host.sequence_s}
        for key, host in made.items()
    ]


def _fit_rows(kernels: Kernels) -> list[dict[str, Any]]:
    return [
        {
            "kind": fit.kind,
            "format": fit.format,
            "form": fit.form,
            "median_error": round(fit.error[0], 4),
            "p90_error": round(fit.error[1], 4),
        }
        for fit in kernels.fit.kernels
        if fit.error is not None
    ]
