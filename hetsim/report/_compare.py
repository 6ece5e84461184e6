"""Two or more runs side by side: what differs in the scenario, in the result, and where from."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.errors import Problem, ScenarioError
from hetsim.report._labels import metric_of, value_text
from hetsim.units import format_seconds

if TYPE_CHECKING:
    from hetsim.run import Result

__all__ = ["Comparison", "compare", "signed"]

_METRICS = (
    "slo_attainment", "goodput_req_s", "ttft_s.p50", "ttft_s.p99", "tpot_s.p50", "tpot_s.p99",
    "first_itl_s.p99", "e2e_s.p50", "e2e_s.p99", "cost_usd_per_mtok", "energy_j_per_tok",
    "power_w", "accelerators",
)  # fmt: skip
_SAME = 1e-9
_UNSAID = ("name", "description")
MOST = 26


class Comparison:
    """Runs and what differs between them; the first is what the others are held against."""

    def __init__(self, results: Sequence[Result], folders: Sequence[str]) -> None:
        self.results = list(results)
        self.folders = list(folders)
        self.letters = list(string.ascii_uppercase[: len(results)])
        self.scenario = _scenario_rows([result.scenario_yaml for result in results])
        self.result = list(_result_rows([result.summary for result in results]))
        self.path = _path_rows([result.summary for result in results])

    def names(self) -> list[str]:
        """Return letter and name of every run."""
        return [
            f"{letter}: {result.summary['name']}"
            for letter, result in zip(self.letters, self.results, strict=True)
        ]

    def sentences(self) -> list[str]:
        """Return, for every run but the first, where its difference to the first comes from."""
        return [self._sentence(number) for number in range(1, len(self.results))]

    def _sentence(self, number: int) -> str:
        letter, base = self.letters[number], self.letters[0]
        deltas = {row["part"]: row["mean_s"][number] - row["mean_s"][0] for row in self.path}
        total = sum(deltas.values())
        if not deltas:
            return f"{letter}: no request finished in one of the runs."
        word = "longer" if total > 0 else "shorter"
        text = f"{letter}: a request takes {format_seconds(abs(total))} {word} than in {base}"
        largest = sorted(deltas, key=lambda part: -abs(deltas[part]))
        causes = [part for part in largest if abs(deltas[part]) > 0.05 * abs(total)][:3]
        parts = ", ".join(f"{part} {signed(deltas[part])}" for part in causes)
        return f"{text}, on average: {parts}." if causes and total else f"{text}."

    def doubts(self) -> list[str]:
        """Return what keeps the runs from being compared as they stand."""
        lines = []
        paths = {row["path"].partition(".")[0].partition("[")[0] for row in self.scenario}
        if "seed" in paths or "workload" in paths:
            lines.append(
                "The requests differ (workload or seed): part of the difference is theirs."
            )
        versions = {str(r.manifest.get("model_version")) for r in self.results}
        if len(versions) > 1:
            lines.append(
                f"The runs were made with different models: {', '.join(sorted(versions))}."
            )
        grades = [str(r.summary["calibration_grade"]) for r in self.results]
        if len(set(grades)) > 1:
            lines.append(f"Their calibration grades differ: {', '.join(grades)}.")
        unstable = [x for x, r in zip(self.letters, self.results, strict=True)
                    if r.summary["unstable"]]  # fmt: skip
        if unstable:
            lines.append(f"Backlog grows in {', '.join(unstable)}: latencies have no steady value.")
        if "seed" not in paths:
            lines.append("One seed each: a small difference may be chance.")
        return lines

    def data(self) -> dict[str, Any]:
        """Return everything as plain data: what ``hetsim compare --json`` prints."""
        runs = [
            {"run": letter, "name": r.summary["name"], "folder": folder}
            for letter, r, folder in zip(self.letters, self.results, self.folders, strict=True)
        ]
        return {
            "runs": runs, "scenario": self.scenario, "result": self.result,
            "critical_path": self.path, "says": self.sentences(), "doubts": self.doubts(),
        }  # fmt: skip


def compare(folders: Sequence[str | Path]) -> Comparison:
    """Return the comparison of two or more run directories.

    Raises
    ------
    ScenarioError
        If there are fewer than two, or one of them is no run directory.
    """
    from hetsim.run import folder_kind, load_result, wrong_folder

    wrong = [one for one in map(Path, folders) if not folder_kind(one)]
    if not 2 <= len(folders) <= MOST:
        problems = [wrong_folder(one, "hetsim compare", ("run",)) for one in wrong]
        few = Problem(f"compares 2 to {MOST} runs, not {len(folders)}", "DIR")
        raise ScenarioError([few, *problems])
    problems, results = [], []
    for folder in folders:
        if (Path(folder) / "points.parquet").is_file():
            text = "is a sweep; compare reads runs (a sweep compares its designs: hetsim report)"
            problems.append(Problem(text, "", str(folder)))
            continue
        if Path(folder) in wrong:
            problems.append(wrong_folder(Path(folder), "hetsim compare", ("run",)))
            continue
        try:
            results.append(load_result(folder))
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return Comparison(results, [str(folder) for folder in folders])


def _scenario_rows(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the fields that differ, in the order of the first scenario that has them."""
    from hetsim.spec._yaml import parse_yaml

    flats = [dict(_leaves(parse_yaml(text)[0])) for text in texts]
    paths = dict.fromkeys(path for flat in flats for path in flat)
    rows = []
    for path in paths:
        values = [flat.get(path) for flat in flats]
        if path not in _UNSAID and any(value != values[0] for value in values[1:]):
            rows.append({"path": path, "values": values})
    return rows


def _leaves(data: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    """Yield dotted paths and their values; lists are one value."""
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, data if not isinstance(data, list | Mapping) else json.dumps(data)


def _result_rows(summaries: Sequence[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """Yield metrics of all runs, with the change against the first (0.1 = 10% more)."""
    for key in _METRICS:
        yield _row(metric_of(key).name, [_value(s, key) for s in summaries], key)
    pools = dict.fromkeys(name for s in summaries for name in s["stages"])
    for name in pools:
        for key, word in (("pressure", "pressure"), ("utilisation", "busy")):
            values = [s["stages"].get(name, {}).get(key) for s in summaries]
            yield _row(f"{name}: {word}", values, "slo_attainment")
    words = [str(s["bottleneck"]) for s in summaries]
    yield {"name": "bottleneck", "values": words, "texts": words, "change": [None] * len(words)}


def _value(summary: Mapping[str, Any], key: str) -> Any:
    first, _, inner = key.partition(".")
    return summary[first][inner] if inner else summary.get(first)


def _row(name: str, values: list[Any], key: str) -> dict[str, Any]:
    texts = [value_text(key, None if value is None else float(value)) for value in values]
    change = [_change(values[0], value) for value in values]
    return {"name": name, "values": values, "texts": texts, "change": change}


def _change(base: Any, value: Any) -> float | None:
    if base is None or value is None or not base:
        return None
    return (float(value) - float(base)) / abs(float(base))


def _path_rows(summaries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the mean seconds of every part of the critical path that any run has."""
    if any(not s["requests"]["finished"] for s in summaries):
        return []
    names = dict.fromkeys(name for s in summaries for name in s["critical_path_s"])
    rows = []
    for name in names:
        values = [float(s["critical_path_s"].get(name) or 0.0) for s in summaries]
        if max(values) > _SAME:
            rows.append({"part": name.removesuffix("_s"), "mean_s": values})
    return rows


def signed(value: float) -> str:
    """Return a difference; less than a nanosecond is rounding.

    >>> signed(0.25), signed(-1e-17)
    ('+250 ms', '0')
    """
    if abs(value) < _SAME:
        return "0"
    return f"{'+' if value >= 0 else '-'}{format_seconds(abs(value))}"
