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
from hetsim.validate._loads import Load, load_of
from hetsim.validate._recipes import Recipe, family_of, is_inferencex, recipe_of
from hetsim.validate._search import layouts_of
from hetsim.validate._slots import decode_slots
from hetsim.validate._table import Row

__all__ = ["Parts", "check_names", "parts_of", "serving_jobs"]


_SERVER_DEVICES = 8


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
        ("model", lambda: get_model(row.text("model"))),
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
    load = load_of(row, isl, osl, parts.engine)
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
        parallel = _cut(row, parts, letter)
        workers = row.count(f"{letter}_workers")
        pools[role] = pool_of(
            role, parts.accelerator, parallel, workers, parts.formats, runtime, recipe
        )
        # The routers of published disaggregated rows deal requests out in turn.
        pools[role]["router"] = "round_robin"
        if role == "decode" and _has_recipe(row, parts):
            slots = decode_slots(
                parts.accelerator, parts.formats["weights"], load, workers, parallel
            )
            if slots is not None:
                pools[role]["max_seqs"] = slots
    node = devices_per_node_of(parts.accelerator)
    data = scenario_of(parts.model.name, load.workload, pools, network_for(node))
    return _job(data, load, recipe, 1, ())


def _cut(row: Row, parts: Parts, letter: str) -> dict[str, int]:
    """Return how a pool's engines are cut.

    InferenceX rows of SGLang 0.5.5 write all devices of an engine as attention data parallel, and
    no expert parallelism. Their recipes (github:SemiAnalysisAI/InferenceX,
    .github/configs/nvidia-master.yaml) are those of 0.5.8: tensor parallel at low latency, expert
    parallel where the decode engine spans servers. An expert of DeepSeek, 2,048 wide, could not be
    cut into 32 either: its scales are of blocks of 128.
    """
    cut = {name: row.count(f"{letter}_{name}", 1) for name in ("tp", "pp", "dp", "ep")}
    odd = parts.engine == "sglang" and row.text("engine_version").startswith("0.5.5")
    if not (odd and is_inferencex(row) and cut["dp"] > 1 and cut["ep"] == 1):
        return cut
    if row.count("d_tp", 1) * row.count("d_dp", 1) > _SERVER_DEVICES:
        return {**cut, "ep": cut["tp"] * cut["dp"]}
    return {**cut, "tp": cut["tp"] * cut["dp"], "dp": 1}


def _has_recipe(row: Row, parts: Parts) -> bool:
    """Say whether :mod:`hetsim.validate._slots` can know the row's decode slots."""
    deepseek = family_of(parts.model).startswith("deepseek")
    return deepseek and is_inferencex(row) and parts.engine.startswith("trtllm")
