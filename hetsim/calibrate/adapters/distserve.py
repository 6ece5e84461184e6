"""Whole steps of OPT models on A100 from fitted coefficients: for comparison, not for fits.

*Source:* LLMServe/DistServe at 82831f1, Apache-2.0, ``simdistserve/estimators/profile_data``:
milliseconds. A prompt step of x tokens takes ``a + b x + c x^2``; a decode step of a batch ``a +
b context_sum + c batch``, with one set of coefficients below and one above a threshold of the
batch. Points are evaluated at usual sizes, since the samples themselves are not published.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._table import make_table
from hetsim.calibrate.adapters._csv import folder_of
from hetsim.errors import Problem, ScenarioError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEVICES", "PROVIDER", "SOURCE", "read"]

SOURCE = "DistServe step coefficients at 82831f1 (Apache-2.0)"
PROVIDER = "an engine measured as a whole"
DEVICES = {"a100-sxm4-80": "a100-80g"}

_PROMPTS = (64, 128, 256, 512, 1024, 2048)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
_CONTEXT = 512
_NEEDED = ("prefill", "decoding_smallbs", "decoding_largebs", "decoding_large_small_bs_threshold")


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield prompt and decode steps of every model and degree of tensor parallelism."""
    path = folder_of(root, "distserve", SOURCE) / f"profiler-{DEVICES[accelerator]}.distserve.json"
    try:
        models = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScenarioError(Problem(f"cannot be read: {error}", "", str(path))) from None
    for model, degrees in sorted(models.items()):
        for tp, found in sorted(degrees.items()):
            missing = [name for name in _NEEDED if name not in found]
            if missing:
                raise ScenarioError(
                    [
                        Problem(f"{name!r} is missing", f"{model}.{tp}", str(path))
                        for name in missing
                    ]
                )
            yield from _steps(model.split("/")[-1], int(tp), found)


def _steps(model: str, tp: int, found: Mapping[str, Any]) -> Iterator[pd.DataFrame]:
    import numpy as np

    common: dict[str, Any] = {
        "format": "fp16",
        "source": "DistServe",
        "framework": "DistServe",
        "model": model,
    }
    common["moe_tp"] = tp
    size = np.array(_PROMPTS, dtype=float)
    a, b, c = found["prefill"]
    time_s = (a + b * size + c * size**2) * 1e-3
    yield make_table("prefill_step", {**common, "batch": 1, "new": size, "time_s": time_s})
    batch = np.array(_BATCHES, dtype=float)
    large = batch >= found["decoding_large_small_bs_threshold"]
    small = _decode(found["decoding_smallbs"], batch)
    time_s = np.where(large, _decode(found["decoding_largebs"], batch), small)
    decode = {"batch": batch, "context": float(_CONTEXT), "time_s": time_s}
    yield make_table("decode_step", {**common, **decode})


def _decode(coefficients: list[float], batch: Any) -> Any:
    a, b, c = coefficients
    return (a + b * batch * _CONTEXT + c * batch) * 1e-3
