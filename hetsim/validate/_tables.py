"""Rows of the other tables to jobs: MLPerf, isolated phases, published prefill-decode phases."""

from __future__ import annotations

import re
from typing import Any

from hetsim.errors import Problem, ScenarioError
from hetsim.validate._engines import preset_for
from hetsim.validate._job import Job, network_for, pool_of, scenario_of
from hetsim.validate._recipes import Recipe, built_engine, mlperf_recipe
from hetsim.validate._search import layouts_of
from hetsim.validate._serving import Parts, devices_per_node_of, parts_of
from hetsim.validate._table import Row

__all__ = ["mlperf_jobs", "phase_jobs", "scale_jobs"]

_INPUTS = {"cnn-dailymail": 778}
"""Mean input tokens of a data set, where a row leaves them out. Source: the same set in the rows
of Llama 3.1 8B (MLPerf Inference v5.1)."""

_ASSUMED = {"openorca": 1.0, "aime": 0.1}
"""Mean input over mean output of data sets whose inputs are published nowhere: an assumption, said
in the row's notes. Chat prompts of OpenOrca (at most 1,024 tokens) are taken as long as their
answers; questions of mathematics and code, answered with thousands of tokens of reasoning, as a
tenth, where twice or half of that moves a throughput by less than a tenth."""

_SERVER_REQUESTS = 1500
_SERVER_S = 60.0
"""Arrivals of a server row that are simulated; the first third is left out of its figures."""
_OVERLAPPED = {
    "deepseek-production": ("prefill", "decode"),
    "sglang-96xH100": ("prefill", "decode"),
    "vllm-blog-wide-ep": ("decode",),
}
"""Sources whose deployments ran in two halves (two-batch or dual-batch overlap), by phase. Source:
the publications themselves: deepseek-ai/open-infra-index day 6; lmsys.org large-scale EP,
2025-05-05; vLLM large-scale serving, 2025-12-17."""
_DECODE_BATCH = 128
"""Requests per device of a published decode phase whose batch is not given. Source: wide expert
parallel decode of DeepSeek with 128 to 256 requests per device (SGLang 96 x H100, 2025-05)."""


def _together(
    parts: Parts, cut: dict[str, int], copies: int, load: dict[str, Any], recipe: Recipe
) -> dict[str, Any]:
    runtime = preset_for(parts.engine, apart=False)
    node = devices_per_node_of(parts.accelerator)
    pool = pool_of("both", parts.accelerator, cut, copies, parts.formats, runtime, recipe)
    wide = cut["tp"] * cut["pp"] * cut["dp"] > node
    network = network_for(node) if wide else None
    return scenario_of(parts.model.name, load, {"serve": pool}, network)


def mlperf_jobs(row: Row) -> list[Job]:
    """Return one job per layout that fits the devices of an MLPerf result.

    Raises
    ------
    ScenarioError
        If a name is unknown, the mean input length is neither in the row nor known, or the model
        is asked for beams (GPT-J; source: mlcommons/inference, language/gpt-j).
    """
    if row.text("model").lower().startswith("gptj"):
        raise ScenarioError(
            Problem("beam search (width 4 in this benchmark) is not modelled", "model")
        )
    parts = parts_of(row)
    if parts.engine == "trtllm" and built_engine(parts.model):
        parts = parts._replace(engine="trtllm_old")
    osl = row.tokens("osl_mean")
    isl, *notes = _input(row, osl)
    devices = row.count("n_accel")
    node = devices_per_node_of(parts.accelerator)
    return [
        _mlperf(row, parts, cut, copies, isl, osl, tuple(notes))
        for cut, copies in layouts_of(parts.model, devices, node)
    ]


def _input(row: Row, osl: int) -> tuple[Any, ...]:
    """Return the mean input, and in words where it is only assumed."""
    if row.number("isl_mean") is not None:
        return (row.tokens("isl_mean"),)
    words = row.text("dataset").lower()
    for name, tokens in _INPUTS.items():
        if name in words:
            return (tokens,)
    for name, ratio in _ASSUMED.items():
        if name in words:
            isl = max(1, round(ratio * osl))
            return isl, f"mean input not published; {isl} tokens assumed"
    raise ScenarioError(
        Problem("is empty, and the mean input length of the data set is not known", "isl_mean")
    )


def _mlperf(
    row: Row,
    parts: Parts,
    cut: dict[str, int],
    copies: int,
    isl: int,
    osl: int,
    notes: tuple[str, ...],
) -> Job:
    recipe = mlperf_recipe(parts.model, parts.engine)
    lengths = {
        "input": {"kind": "lognormal", "mean": float(isl), "cv": 0.5, "max": 8 * isl},
        "output": {"kind": "lognormal", "mean": float(osl), "cv": 0.5, "max": 8 * osl},
    }
    offline = row.text("scenario").lower() == "offline"
    requests = 20_000
    if offline:
        load: dict[str, Any] = {"kind": "mlperf_offline", "requests": requests, **lengths}
    else:
        rate = row.number("scheduled_qps")
        if not rate or rate <= 0:
            raise ScenarioError(Problem("is empty; this scenario needs it", "scheduled_qps"))
        rate /= copies
        requests = max(_SERVER_REQUESTS, round(_SERVER_S * rate))
        load = {
            "kind": "mlperf_server",
            "rate": f"{rate!r} req/s",
            "requests": requests,
            **lengths,
        }
    return Job(
        data=_together(parts, cut, 1, load, recipe),
        load="offline" if offline else "open",
        requests=requests,
        isl=isl,
        osl=osl,
        steady=not offline,
        recipe=recipe,
        copies=copies,
        notes=("layout searched", *notes),
    )


def phase_jobs(row: Row) -> list[Job]:
    """Return the job of an isolated prefill or decode: one batch, nothing beside it.

    Raises
    ------
    ScenarioError
        If a name is unknown, or the row is no measurement of one point.
    """
    metric = row.text("metric")
    if metric == "coefficients":
        raise ScenarioError(Problem("is the coefficient of a fit, not a measured point", "metric"))
    parts = parts_of(row)
    batch = row.count("batch_size", 1)
    isl = round(row.number("isl") or row.number("context_len") or 1)
    osl = round(row.number("osl") or 128)
    if row.text("phase") == "prefill" and metric != "prompt_time":
        osl = 1
    # Prompts of a batch are timed in one pass, whatever budget a server would have.
    recipe = Recipe(max_batched_tokens=max(2048, batch * isl), max_seqs=max(1, batch))
    cut = {"tp": row.count("tp", 1), "pp": row.count("pp", 1), "dp": 1, "ep": 1}
    load = {
        "kind": "mlperf_offline",
        "requests": batch,
        "input": {"kind": "fixed", "tokens": isl},
        "output": {"kind": "fixed", "tokens": osl},
    }
    data = _together(parts, cut, 1, load, recipe)
    return [
        Job(data=data, load="static", users=batch, requests=batch, isl=isl, osl=osl, recipe=recipe)
    ]


def scale_jobs(row: Row) -> list[Job]:
    """Return the job of one phase of a published prefill-decode deployment.

    A prefill phase is a queue of prompts that never ends. A decode phase holds 128 requests per
    device, whose prompts somebody else computes in no time: its rate is that of their tokens.

    Raises
    ------
    ScenarioError
        If a name is unknown, or devices, degrees or lengths are given in words only.
    """
    phase = row.text("phase")
    if phase not in ("prefill", "decode"):
        raise ScenarioError(Problem(f"is {phase!r}; prefill or decode can be simulated", "phase"))
    parts = parts_of(row)
    devices, isl = row.count("n_accel_phase"), row.tokens("isl")
    cut = _degrees(row.text("parallelism"), devices)
    decode = phase == "decode"
    requests = _DECODE_BATCH * cut["dp"] * cut["tp"] if decode else 40 * cut["dp"]
    osl = round(row.number("osl") or 100) if decode else 1
    load = {
        "kind": "mlperf_offline",
        "requests": requests,
        "input": {"kind": "fixed", "tokens": isl},
        "output": {"kind": "fixed", "tokens": osl},
    }
    overlap = cut["dp"] > 1 and phase in _OVERLAPPED.get(row.text("source"), ())
    if not decode:
        data = _together(parts, cut, 1, load, Recipe())
        data["pools"]["serve"]["two_batch_overlap"] = overlap
        return [Job(data=data, load="burst", requests=requests, isl=isl, osl=osl)]
    data = _decode_alone(parts, cut, load)
    data["pools"]["decode"]["two_batch_overlap"] = overlap
    note = f"{_DECODE_BATCH} requests per device assumed"
    return [
        Job(
            data=data,
            load="decode",
            requests=requests,
            isl=isl,
            osl=osl,
            scored_pool="decode",
            notes=(note,),
        )
    ]


def _decode_alone(parts: Parts, cut: dict[str, int], load: dict[str, Any]) -> dict[str, Any]:
    """Return a decode pool that is handed prompts which took a microsecond."""
    runtime = preset_for(parts.engine, apart=True)
    pools = {
        role: pool_of(role, parts.accelerator, cut, 1, parts.formats, runtime, Recipe())
        for role in ("prefill", "decode")
    }
    pools["prefill"]["estimator"] = {
        "kind": "constant",
        "prefill": "1 us",
        "decode_step": "1 us",
        "blocks": 10_000_000,
    }
    return scenario_of(
        parts.model.name, load, pools, network_for(devices_per_node_of(parts.accelerator))
    )


def _degrees(words: str, devices: int) -> dict[str, int]:
    """Return the degrees in a text such as ``EP32 DP32`` or ``4 instances x DEP2``.

    Where no tensor parallelism is named, every rank of experts has tokens of its own: only then
    is there anything to exchange.
    """
    found = {name: int(size) for name, size in re.findall(r"\b(TP|DEP|EP|DP)(\d+)\b", words)}
    if "DEP" in found:
        return {"tp": 1, "pp": 1, "dp": found["DEP"], "ep": found["DEP"]}
    if "EP" in found:
        dp = found.get("DP", 1 if "TP" in found else found["EP"])
        return {"tp": max(1, found["EP"] // dp), "pp": 1, "dp": dp, "ep": found["EP"]}
    if "EP" in words and "DP" in words:
        return {"tp": 1, "pp": 1, "dp": devices, "ep": devices}
    raise ScenarioError(
        Problem(f"is {words!r}; degrees such as EP32 DP32 are needed", "parallelism")
    )
