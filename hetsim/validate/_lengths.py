"""Request lengths from a row's words about them."""

from __future__ import annotations

from math import log, log1p, sqrt
from statistics import NormalDist
from typing import Any

from hetsim.validate._table import Row

__all__ = ["lengths_of"]

_DATASETS = ("sharegpt", "dataset", "workload", "replay", "openorca", "cnn")
_DATASET_CV = 1.0
"""Spread of prompts and answers of ShareGPT and of the MLPerf sets. Source: ShareGPT as published
with vLLM, mean and deviation of both lengths near each other; 0.8 to 1.2 give the same means."""


_LONGEST_PROMPT, _LONGEST = 1024, 2048
"""What vLLM's client keeps of ShareGPT: prompts of at most 1,024 tokens, with their answer at most
2,048. Source: vllm/benchmarks/datasets.py, ``is_valid_sequence``, which SGLang's client follows."""


_NOMINAL_SPREAD = 0.1
"""Half width of answers of nominal length where an engine mixes prompts into decode steps.

Users with answers of exactly one length stay in step for ever. Behind an engine that runs all
waiting prompts before it decodes on, that is what laboratory rows show (TTFT of N/2 prefills);
behind mixing engines they show users out of step (TTFT of 2 to 3 prefills, whatever N), which a
spread brings about. It is that of the one client that states its own (InferenceX: 80 to 100 %);
5 % leaves users with 128 tokens half in step, beyond 10 % nothing changes any more.
"""


def lengths_of(
    row: Row, isl: int, osl: int, *, mixes: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the laws of input and output lengths.

    Lengths that are said to be drawn like a data set are lognormal, those of ShareGPT as far as the
    clients keep them (a benchmark's end is its longest answer); SGLang's random client draws
    them from 1 to the nominal length; answers of nominal length spread a little behind an engine
    that ``mixes`` prompts into decode steps; the others are fixed.
    """
    words = (row.text("length_dist") or row.text("dataset")).lower()
    if "sharegpt" in words and isl > 1 and osl > 1 and isl + osl < _LONGEST:
        prompts = _LONGEST_PROMPT if 2 * isl <= _LONGEST_PROMPT else _LONGEST - osl
        return _kept(isl, prompts), _kept(osl, _LONGEST - isl)
    if any(word in words for word in _DATASETS):
        return _spread(isl), _spread(osl)
    if "random" in words and "sgl" in row.text("source").lower():
        return _uniform(isl), _uniform(osl)
    if mixes and words == "nominal" and osl > 1:
        low, high = (round(osl * (1 + sign * _NOMINAL_SPREAD)) for sign in (-1, 1))
        return {"kind": "fixed", "tokens": isl}, {
            "kind": "uniform",
            "min": max(1, low),
            "max": high,
        }
    return {"kind": "fixed", "tokens": isl}, {"kind": "fixed", "tokens": osl}


def _spread(mean: int) -> dict[str, Any]:
    if mean < 2:
        return {"kind": "fixed", "tokens": 1}
    return {"kind": "lognormal", "mean": float(mean), "cv": _DATASET_CV, "max": 8 * mean}


def _kept(mean: int, most: int) -> dict[str, Any]:
    """Return a lognormal law that is cut at ``most`` and has the ``mean`` that was measured so.

    ``E min(X, c) = m F((ln c - mu - s^2) / s) + c (1 - F((ln c - mu) / s))`` grows with m.

    >>> _kept(200, 100_000)["mean"], _kept(650, 1200)["mean"] > 750
    (200.0, True)
    """
    spread, normal, law = sqrt(log1p(_DATASET_CV**2)), NormalDist(), float(mean)
    for _ in range(200):
        reach = (log(most) - log(law) + 0.5 * spread**2) / spread
        cut = law * normal.cdf(reach - spread) + most * (1.0 - normal.cdf(reach))
        law *= mean / cut
    return {"kind": "lognormal", "mean": round(law, 3), "cv": _DATASET_CV, "max": most}


def _uniform(mean: int) -> dict[str, Any]:
    return {"kind": "uniform", "min": 1, "max": max(1, 2 * mean - 1)}
