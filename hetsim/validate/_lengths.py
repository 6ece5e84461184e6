"""Request lengths from a row's words about them."""

from __future__ import annotations

from typing import Any

from hetsim.validate._table import Row

__all__ = ["lengths_of"]

_DATASETS = ("sharegpt", "dataset", "workload", "replay", "openorca", "cnn")
_DATASET_CV = 1.0
"""Spread of prompts and answers of ShareGPT and of the MLPerf sets. Source: ShareGPT as published
with vLLM, mean and deviation of both lengths near each other; 0.8 to 1.2 give the same means."""


def lengths_of(row: Row, isl: int, osl: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the laws of input and output lengths.

    Lengths that are said to be drawn like a data set are lognormal; SGLang's random client draws
    them from 1 to the nominal length; the others are fixed.
    """
    words = (row.text("length_dist") or row.text("dataset")).lower()
    if any(word in words for word in _DATASETS):
        return _spread(isl), _spread(osl)
    if "random" in words and "sgl" in row.text("source").lower():
        return _uniform(isl), _uniform(osl)
    return {"kind": "fixed", "tokens": isl}, {"kind": "fixed", "tokens": osl}


def _spread(mean: int) -> dict[str, Any]:
    if mean < 2:
        return {"kind": "fixed", "tokens": 1}
    return {"kind": "lognormal", "mean": float(mean), "cv": _DATASET_CV, "max": 8 * mean}


def _uniform(mean: int) -> dict[str, Any]:
    return {"kind": "uniform", "min": 1, "max": max(1, 2 * mean - 1)}
