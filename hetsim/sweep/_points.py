"""One point and seed: what it is called, where its result is kept, what its row holds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from hetsim._version import MODEL_VERSION
from hetsim.errors import (
    HetsimError,
    InfeasibleError,
    InvalidTransition,
    InvariantViolated,
    ScenarioError,
)
from hetsim.run import plain, pool_power
from hetsim.scenario import Loaded, load_data, plain_scenario

__all__ = ["Task", "content_hash", "flatten", "run_task", "task_of"]

_WORDS = ("name", "description", "limits")
"""What a scenario says that changes no result."""
_MEASURES = {"capacity": "capacity 2"}
"""How a point is measured, by the version of the way: another way is another result."""
_LEFT_OUT = ("wall_s", "assumptions", "notes", "name", "capacity", "seed")


def content_hash(loaded: Loaded, measure: str = "run") -> str:
    """Return the name under which the result of a scenario is kept.

    It covers every field with its default written out, the content of files that the scenario
    names, and the model version; names and descriptions do not count.
    """
    data = plain_scenario(loaded.scenario)
    for word in _WORDS:
        del data[word]
    files = {path: _digest(loaded.base_dir / path) for path in _paths(data)}
    whole = [
        MODEL_VERSION,
        _MEASURES.get(measure, measure),
        data,
        {k: v for k, v in files.items() if v},
    ]
    text = json.dumps(whole, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _paths(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what may be the path of a file that a scenario names."""
    load = data["workload"]
    for holder in (load, load.get("input"), load.get("output")):
        if isinstance(holder, dict) and holder.get("path") is not None:
            yield str(holder["path"])
    yield str(data["model"])
    for pool in data["pools"].values():
        yield from (str(pool["accelerator"]), str(pool["runtime"]))


def _digest(path: Path) -> str:
    try:
        stat = path.stat()
        return _content(str(path), stat.st_size, stat.st_mtime_ns) if path.is_file() else ""
    except OSError:
        return ""


@lru_cache(maxsize=1024)
def _content(path: str, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Task(NamedTuple):
    """What a worker needs, as plain text: it crosses processes and machines."""

    key: str
    text: str
    """JSON of ``data``, ``base_dir``, ``file`` and ``measure``."""


def task_of(loaded: Loaded, measure: str) -> Task:
    """Return the task that simulates a scenario."""
    data = {
        "data": loaded.data,
        "base_dir": str(loaded.base_dir.resolve()),
        "file": loaded.file,
        "measure": measure,
    }
    return Task(content_hash(loaded, measure), json.dumps(data))


def run_task(task: Task) -> dict[str, Any]:
    """Simulate, and return the row: status, reason, metrics. Nothing but a kill stops it."""
    asked = json.loads(task.text)
    try:
        loaded = load_data(asked["data"], base_dir=asked["base_dir"], file=asked["file"])
        return {"status": "simulated", "reason": "", **_measured(loaded, asked["measure"])}
    except (InvariantViolated, InvalidTransition) as error:
        return {"status": "failed", "reason": f"a defect of hetsim: {_line(error)}"}
    except HetsimError as error:
        return failure_row(error)
    except MemoryError:
        return {"status": "failed", "reason": "out of memory"}
    except Exception as error:  # any other failure is this point's alone: the sweep goes on
        return {"status": "failed", "reason": f"{type(error).__name__}: {_line(error)}"}


def failure_row(error: HetsimError) -> dict[str, Any]:
    """Return the row of a point that cannot run."""
    if isinstance(error, ScenarioError):
        return {"status": "illegal", "reason": "; ".join(map(_problem, error.problems))}
    status = "infeasible" if isinstance(error, InfeasibleError) else "failed"
    return {"status": status, "reason": _line(error)}


def _problem(problem: Any) -> str:
    return f"{problem.path}: {problem.message}" if problem.path else str(problem.message)


def _line(error: BaseException) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines())[:2000]


def _measured(loaded: Loaded, measure: str) -> dict[str, Any]:
    from hetsim.run import run_loaded, sustainable_rate
    from hetsim.scenario import accelerator_of
    from hetsim.sweep._sides import calibration_of

    scenario = loaded.scenario
    names = {accelerator_of(p.accelerator, loaded.base_dir).name for p in scenario.pools.values()}
    calibrations = {name: calibration_of(name) for name in sorted(names) if _shipped(name)}
    if measure == "capacity":
        row = flatten(sustainable_rate(loaded, calibrations=calibrations))
    else:
        row = flatten(run_loaded(loaded, calibrations=calibrations).summary)
    prices = [pool_power(scenario, name, loaded.base_dir).usd_per_h for name in scenario.pools]
    known = [price for price in prices if price is not None]
    usd = sum(known) if len(known) == len(prices) else None
    row["usd_per_h"] = usd
    rate = row.get("rate_req_s") if measure == "capacity" else row["goodput_req_s"]
    row["goodput_req_per_usd"] = rate * 3600.0 / usd if usd and rate is not None else None
    return row


def _shipped(name: str) -> bool:
    from hetsim.hardware import accelerator_names

    return name in accelerator_names()


def flatten(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return a summary as one level of columns, parts joined by dots; lists become text.

    >>> flatten({"ttft_s": {"p50": 0.5}, "seed": 3, "slo_met": True})
    {'ttft_s.p50': 0.5, 'slo_met': True}
    """
    found: dict[str, Any] = {}
    for name, value in summary.items():
        if name in _LEFT_OUT:
            continue
        if isinstance(value, Mapping) and name in ("reasons", "violations", "leak_page_s_by_cause"):
            found[name] = json.dumps(plain(value))
        elif isinstance(value, Mapping):
            inner = {f"{name}.{key}": item for key, item in value.items()}
            found.update(flatten(inner))
        elif isinstance(value, (list, tuple)):
            found[name] = json.dumps(plain(value))
        else:
            found[name] = plain(value)
    return found
