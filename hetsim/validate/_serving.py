"""Rows of a serving table to jobs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import Accelerator, get_accelerator
from hetsim.model import Model, get_model
from hetsim.scenario import Parallel, Pool, PrecisionSpec, devices_per_node
from hetsim.validate._engines import engine_family, preset_for
from hetsim.validate._formats import formats_of
from hetsim.validate._job import Job, network_for, pool_of, scenario_of
from hetsim.validate._lengths import lengths_of
from hetsim.validate._recipes import Recipe, is_inferencex, recipe_of
from hetsim.validate._search import layouts_of
from hetsim.validate._table import Row

__all__ = ["Parts", "check_names", "parts_of", "serving_jobs"]

_FEW = 800
"""A closed loop of at most so many requests is simulated whole; a longer one for four waves."""


class Parts(NamedTuple):
    """Everything of a row that has a name, looked up."""

    accelerator: Accelerator
    model: Model
    engine: str
    formats: dict[str, str]


def check_names(row: Row) -> tuple[Accelerator, Model, str]:
    """Return accelerator, model and engine of a row.

    Raises
    ------
    ScenarioError
        With every name that is not known.
    """
    problems: list[Problem] = []
    found: list[Any] = []
    tries = (
        ("accelerator", lambda: get_accelerator(_device_name(row.text("accelerator")))),
        ("model", lambda: _model(row)),
        ("engine", lambda: engine_family(row.text("engine"), row.text("engine_version"))),
    )
    for column, look in tries:
        try:
            found.append(look())
        except ScenarioError as error:
            problems += [Problem(p.message, p.path or column) for p in error.problems]
    if problems:
        raise ScenarioError(problems)
    return found[0], found[1], found[2]


def _device_name(text: str) -> str:
    """Return a device's name without words about where it was used and how much memory it has."""
    plain = re.sub(r"^llamacpp:", "", text.strip())
    return re.sub(r"\s+\d+\s*GB$", "", plain) or text


def _model(row: Row) -> Model:
    try:
        return get_model(row.text("model"))
    except ScenarioError:
        if not row.text("model_family"):
            raise
        try:
            return get_model(row.text("model_family"))
        except ScenarioError:
            pass
        raise


def parts_of(row: Row) -> Parts:
    """Return the parts of a row.

    Raises
    ------
    ScenarioError
        With everything that is not known.
    """
    accelerator, model, engine = check_names(row)
    return Parts(accelerator, model, engine, formats_of(row, model, accelerator, engine))


def serving_jobs(row: Row) -> list[Job]:
    """Return the jobs of a row: one, or one per layout where the row names none.

    Raises
    ------
    ScenarioError
        If a name is unknown, a cell unusable, or the row is of a kind that is not modelled.
    """
    parts = parts_of(row)
    if row.text("spec_decode") not in ("", "0", "0.0", "False", "false"):
        raise ScenarioError(Problem("speculative decoding is not modelled", "spec_decode"))
    isl, osl = row.tokens("isl"), row.tokens("osl")
    load = _load(row, isl, osl)
    if row.text("mode") == "disagg":
        return [_apart(row, parts, load)]
    stated = {name: row.number(name) for name in ("tp", "pp", "dp", "ep")}
    if stated["tp"] is not None:
        parallel = {name: int(value or 1) for name, value in stated.items()}
        return [_together(row, parts, load, parallel, row.count("replicas", 1))]
    devices = row.count("n_accel")
    return [
        _together(row, parts, load, cut, copies, "layout searched")
        for cut, copies in layouts_of(parts.model, devices, devices_per_node_of(parts.accelerator))
    ]


class Load(NamedTuple):
    """The load of a row, engine-agnostic."""

    kind: str
    workload: Mapping[str, Any]
    users: int
    requests: int
    waves: float
    isl: int
    osl: int
    stages: tuple[tuple[float, float], ...] = ()


def _load(row: Row, isl: int, osl: int) -> Load:
    kind = row.text("load_type")
    makers = {
        "closed_loop": _closed,
        "open_loop": _open,
        "open_loop_staged": _staged,
        "burst_all_at_once": _burst,
        "static_batch": _static,
        "max_throughput_offline": _offline,
    }
    if kind not in makers:
        raise ScenarioError(
            Problem(f"is {kind or 'empty'!r}; must be one of {', '.join(makers)}", "load_type")
        )
    return makers[kind](row, isl, osl)


def _closed(row: Row, isl: int, osl: int) -> Load:
    users = row.count("concurrency")
    stated = row.number("num_requests")
    whole = int(stated) if stated else 10 * users
    waves = whole / users
    requests = max(users, whole if whole <= _FEW else min(whole, max(_FEW, 4 * users)))
    if is_inferencex(row):
        workload: dict[str, Any] = {
            "kind": "inferencex",
            "concurrency": users,
            "input": isl,
            "output": osl,
            "requests": requests,
        }
        return Load("closed", workload, users, whole, waves, isl, osl)
    source, target = lengths_of(row, isl, osl)
    workload = {
        "kind": "closed_loop",
        "users": users,
        "requests": requests,
        "input": source,
        "output": target,
        "think": "0 s",
    }
    return Load("closed", workload, users, whole, waves, isl, osl)


def _open(row: Row, isl: int, osl: int) -> Load:
    if row.text("request_rate").lower() == "inf":
        return _burst(row, isl, osl)
    rate = row.number("request_rate")
    if rate is None or rate <= 0:
        raise ScenarioError(Problem("is empty; an open loop needs it", "request_rate"))
    requests = row.count("num_requests", 500)
    return Load("open", _poisson(row, rate, requests, isl, osl), 0, requests, 1.0, isl, osl)


def _poisson(row: Row, rate: float, requests: int, isl: int, osl: int) -> dict[str, Any]:
    source, target = lengths_of(row, isl, osl)
    return {
        "kind": "poisson",
        "rate": f"{rate!r} req/s",
        "requests": requests,
        "input": source,
        "output": target,
    }


def _staged(row: Row, isl: int, osl: int) -> Load:
    text = row.text("request_rate")
    found = re.match(r"^\s*([\d.>\- ]+?)\s*\((\d+) stages x (\d+(?:\.\d+)?) s\)", text)
    if found is None:
        raise ScenarioError(Problem(f"is {text!r}; the rate of each stage is needed", "request_rate"))
    rates = [float(part) for part in found[1].split("->")]
    length_s = float(found[3])
    stages = tuple((rate, length_s) for rate in rates)
    count = round(sum(rate * length_s for rate in rates))
    workload = _poisson(row, rates[0], count, isl, osl)
    return Load("open", workload, 0, count, 1.0, isl, osl, stages)


def _at_once(row: Row, requests: int, isl: int, osl: int) -> dict[str, Any]:
    source, target = lengths_of(row, isl, osl)
    return {"kind": "mlperf_offline", "requests": requests, "input": source, "output": target}


def _burst(row: Row, isl: int, osl: int) -> Load:
    stated = row.number("num_requests") or row.number("concurrency")
    if not stated:
        raise ScenarioError(Problem("is empty; a burst needs it", "num_requests"))
    whole = int(stated)
    # A long burst is cut and the rest extrapolated; its waiting times grow with its length.
    return Load("burst", _at_once(row, min(whole, 6000), isl, osl), 0, whole, 1.0, isl, osl)


def _static(row: Row, isl: int, osl: int) -> Load:
    batch = row.count("batch_size", row.count("num_requests", row.count("concurrency", 1)))
    return Load("static", _at_once(row, batch, isl, osl), batch, batch, 1.0, isl, osl)


def _offline(row: Row, isl: int, osl: int) -> Load:
    whole = row.count("num_requests", 10_000)
    # How many are simulated follows from the batch that fits, known once the plan is built.
    return Load("offline", _at_once(row, whole, isl, osl), 0, whole, 1.0, isl, osl)


def devices_per_node_of(accelerator: Accelerator) -> int:
    """Return how many accelerators share a usual server."""
    precision = PrecisionSpec(weights="bf16", compute="bf16", kv="bf16")
    pool = Pool(
        role="both",
        accelerator=accelerator.name,
        instances=1,
        parallel=Parallel(),
        precision=precision,
        runtime="vllm",
    )
    return devices_per_node(pool, accelerator)


def _recipe(row: Row, parts: Parts, load: Load) -> Recipe:
    found = recipe_of(
        row, parts.model, parts.accelerator, parts.engine, load.isl, load.osl, load.users
    )
    if load.kind == "static":
        found = found._replace(max_seqs=load.users)
    return found


def _together(
    row: Row,
    parts: Parts,
    load: Load,
    parallel: Mapping[str, int],
    replicas: int,
    *notes: str,
) -> Job:
    recipe = _recipe(row, parts, load)
    runtime = preset_for(parts.engine, apart=False)
    node = devices_per_node_of(parts.accelerator)
    devices = parallel["tp"] * parallel["pp"] * parallel["dp"]
    copies, load = _shared(load, replicas)
    pool = pool_of(
        "both", parts.accelerator, parallel, replicas // copies, parts.formats, runtime, recipe
    )
    network = network_for(node) if devices > node else None
    data = scenario_of(parts.model.name, load.workload, {"serve": pool}, network)
    return _job(data, load, recipe, copies, notes)


def _shared(load: Load, replicas: int) -> tuple[int, Load]:
    """Return how many equal parts a load over ``replicas`` falls into, and one of them.

    Arrivals that a router deals out evenly are the same on every replica, so that one is enough.
    """
    users = load.workload.get("concurrency") or load.workload.get("users") or 0
    if replicas == 1 or not users or users % replicas:
        return 1, load
    part = dict(load.workload)
    for name in ("concurrency", "users", "requests"):
        if name in part:
            part[name] = max(1, part[name] // replicas)
    return replicas, load._replace(workload=part, users=load.users // replicas)


def _job(
    data: Mapping[str, Any], load: Load, recipe: Recipe, copies: int, notes: tuple[str, ...]
) -> Job:
    return Job(
        data=data,
        load=load.kind,
        users=load.users,
        waves=load.waves,
        requests=load.requests,
        isl=load.isl,
        osl=load.osl,
        stages=load.stages,
        recipe=recipe,
        copies=copies,
        notes=notes,
    )


def _apart(row: Row, parts: Parts, load: Load) -> Job:
    runtime = preset_for(parts.engine, apart=True)
    recipe = _recipe(row, parts, load)
    pools = {}
    for role, letter in (("prefill", "p"), ("decode", "d")):
        parallel = {name: row.count(f"{letter}_{name}", 1) for name in ("tp", "pp", "dp", "ep")}
        workers = row.count(f"{letter}_workers")
        pools[role] = pool_of(
            role, parts.accelerator, parallel, workers, parts.formats, runtime, recipe
        )
    node = devices_per_node_of(parts.accelerator)
    data = scenario_of(parts.model.name, load.workload, pools, network_for(node))
    return _job(data, load, recipe, 1, ())
