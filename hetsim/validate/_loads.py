"""What a serving row says about its load: who sends how many requests, when, of which length."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from hetsim.errors import Problem, ScenarioError
from hetsim.runtimes import get_runtime
from hetsim.validate._engines import preset_for
from hetsim.validate._lengths import lengths_of
from hetsim.validate._recipes import is_inferencex
from hetsim.validate._table import Row

__all__ = ["Load", "load_of"]

_FEW = 800
"""A closed loop of at most so many requests is simulated whole, a longer one for
four waves (three from 1,000 users on)."""


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


def load_of(row: Row, isl: int, osl: int, engine: str) -> Load:
    """Return the load of a row.

    Raises
    ------
    ScenarioError
        If its kind is unknown, or a cell that the kind needs is empty.
    """
    kind = row.text("load_type")
    if kind == "closed_loop":
        return _closed(row, isl, osl, engine)
    makers = {
        "open_loop": _open,
        "open_loop_staged": _staged,
        "burst_all_at_once": _burst,
        "static_batch": _static,
        "max_throughput_offline": _offline,
    }
    if kind not in makers:
        raise ScenarioError(
            Problem(
                f"is {kind or 'empty'!r}; must be closed_loop, {', '.join(makers)}", "load_type"
            )
        )
    return makers[kind](row, isl, osl)


def _closed(row: Row, isl: int, osl: int, engine: str) -> Load:
    users = row.count("concurrency")
    stated = row.number("num_requests")
    whole = int(stated) if stated else 10 * users
    waves = whole / users
    few = max(_FEW, (4 if users < 1000 else 3) * users)
    requests = max(users, min(whole, few))
    if is_inferencex(row):
        workload: dict[str, Any] = {
            "kind": "inferencex",
            "concurrency": users,
            "input": isl,
            "output": osl,
            "requests": requests,
        }
        return Load("closed", workload, users, whole, waves, isl, osl)
    mixes = get_runtime(preset_for(engine, apart=False)).mixed_steps
    source, target = lengths_of(row, isl, osl, mixes=mixes)
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
    # vLLM's client sends exactly so many in requests / rate. Of a client that does not, the draw is
    # not known, and that is what it takes on average; ours alone can be several percent off.
    workload = {**_poisson(row, rate, requests, isl, osl), "kind": "vllm_bench"}
    return Load("open", workload, 0, requests, 1.0, isl, osl)


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
    stages = _stages(text)
    if not stages:
        raise ScenarioError(
            Problem(f"is {text!r}; the rate of each stage is needed", "request_rate")
        )
    count = round(sum(rate * length_s for rate, length_s in stages))
    workload = _poisson(row, stages[0][0], count, isl, osl)
    return Load("open", workload, 0, count, 1.0, isl, osl, stages)


_STAGE_S = 600.0
"""Length of a stage whose row gives only a rate; a steady load does not depend on it."""


def _stages(text: str) -> tuple[tuple[float, float], ...]:
    """Return (rate, seconds) of each stage; empty if the text does not say.

    >>> _stages("8->20 (2 stages x 600 s)"), _stages("6")
    (((8.0, 600.0), (20.0, 600.0)), ((6.0, 600.0),))
    """
    found = re.match(r"^([\d.]+(?:->[\d.]+)*)(?:\s*\(\d+ stages x ([\d.]+) s\))?$", text.strip())
    if found is None:
        return ()
    length_s = float(found[2]) if found[2] else _STAGE_S
    return tuple((float(rate), length_s) for rate in found[1].split("->"))


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
