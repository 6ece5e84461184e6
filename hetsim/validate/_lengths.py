"""Request lengths from a row's words about them."""

from __future__ import annotations

from typing import Any

from hetsim.validate._table import Row

__all__ = ["lengths_of"]

_DATASETS = ("sharegpt", "dataset", "workload", "replay", "openorca", "cnn")
_DATASET_CV = 1.0
"""Spread of prompts and answers of ShareGPT and of the MLPerf sets. Source: ShareGPT as published
with vLLM, mean and deviation of both lengths near each other; 0.8 to 1.2 give the same means."""


_NOMINAL_SPREAD = 0.05
"""Half width of answers of nominal length where an engine mixes prompts into decode steps.

Users with answers of exactly one length stay in step for ever. Behind an engine that runs all
waiting prompts before it decodes on, that is what laboratory rows show (TTFT of N/2 prefills);
behind mixing engines they show users out of step (TTFT of 2 to 3 prefills, whatever N), which any
spread brings about: 5 and 10 % give the same figures within 5 %.
"""


def lengths_of(
    row: Row, isl: int, osl: int, *, mixes: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the laws of input and output lengths.

    Lengths that are said to be drawn like a data set are lognormal; SGLang's random client draws
    them from 1 to the nominal length; answers of nominal length spread a little behind an engine
    that ``mixes`` prompts into decode steps; the others are fixed.
    """
    words = (row.text("length_dist") or row.text("dataset")).lower()
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


def _uniform(mean: int) -> dict[str, Any]:
    return {"kind": "uniform", "min": 1, "max": max(1, 2 * mean - 1)}
