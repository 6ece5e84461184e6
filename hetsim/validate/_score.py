"""Predicted against measured: which figures of a row are scored, and errors of a set of rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from hetsim.errors import ScenarioError
from hetsim.hardware import get_accelerator
from hetsim.validate._job import Prediction
from hetsim.validate._table import Row

__all__ = ["METRICS", "Metric", "Outcome", "Pair", "is_queued", "pair_of", "pairs_of", "summary_of"]

METRICS = ("tpot", "ttft", "throughput")
"""What a table is scored on, as far as it has it; a transfer's bandwidth is its throughput."""
_QUEUED = 0.5
"""A TTFT that is more than this part of the whole latency is mostly waiting."""
_OVERLOADED = 0.95
"""An open loop that completes less than this part of what is offered has a growing queue."""


class Pair(NamedTuple):
    """A predicted and a measured value of one metric."""

    predicted: float
    measured: float

    @property
    def error(self) -> float:
        """Signed relative error in percent."""
        return 100.0 * (self.predicted / self.measured - 1.0)


class Outcome(NamedTuple):
    """What became of a row."""

    row: Row
    status: str
    """``ok``, ``does_not_fit`` or ``failed``."""
    reason: str
    prediction: Prediction
    pairs: dict[str, Pair]
    """The metrics that are scored."""
    samples: Mapping[str, tuple[float, ...]] | None = None
    """Predictions of the scored metrics at sampled parameters, where they were asked for."""


class Metric(NamedTuple):
    """Errors of one metric over some rows, in percent."""

    n: int
    median_ape: float | None
    p90_ape: float | None
    bias: float | None
    """Median of the signed errors."""


def pair_of(row: Row) -> str:
    """Return the pair of device and model (its family, where the table names one) of a row.

    >>> pair_of(Row("serving", "r", {"accelerator": "H100-SXM", "model": "Llama-3.1-8B"}))
    'h100-sxm / llama-3.1-8b'
    """
    device = row.text("accelerator").lower()
    with suppress(ScenarioError):
        device = get_accelerator(device).name
    return f"{device} / {(row.text('model_family') or row.text('model')).lower()}"


def pairs_of(row: Row, found: Prediction) -> dict[str, Pair]:
    """Return what is scored of a row: measured, not derived, not ruled by a queue or a burst."""
    if row.suspect:
        return {}
    makers = {
        "serving": _serving,
        "mlperf_llm": _mlperf,
        "phase_latency": _phase,
        "kv_transfer": _transfer,
        "pd_scale": _scale,
    }
    made = makers[row.kind](row, found)
    return {
        name: Pair(predicted, measured)
        for name, (predicted, measured) in made.items()
        if predicted is not None and measured is not None and predicted > 0
    }


Raw = dict[str, tuple[float | None, float | None]]


def _transfer(row: Row, found: Prediction) -> Raw:
    measured = row.measured("bandwidth_gbs")
    rate = found.transfer_bytes_per_s
    return {"throughput": (rate / 1e9 if rate else None, measured)}


def _latencies(row: Row, found: Prediction) -> Raw:
    mean = row.measured("ttft_ms_mean")
    ttft = (found.ttft_ms, mean) if mean else (found.ttft_ms_p50, row.measured("ttft_ms_p50"))
    mean = row.measured("tpot_ms_mean", "itl_ms_mean")
    tpot = (found.tpot_ms, mean) if mean else (found.tpot_ms_p50, row.measured("tpot_ms_p50"))
    return {"ttft": ttft, "tpot": tpot}


def _serving(row: Row, found: Prediction) -> Raw:
    load = row.text("load_type")
    made = _latencies(row, found)
    burst = load == "burst_all_at_once" or (
        load == "open_loop" and row.text("request_rate").lower() == "inf"
    )
    if burst or load == "max_throughput_offline" or is_queued(row):
        made.pop("ttft")
    if burst or load == "max_throughput_offline" or row.measured("osl") == 1:
        made.pop("tpot")
    if not _is_derived(row):
        made["throughput"] = (found.out_tok_s_per_accel, _throughput(row))
    return made


def _throughput(row: Row) -> float | None:
    value = row.measured("out_tok_s_per_accel")
    if value is not None:
        return value
    total, devices = row.measured("out_tok_s"), row.measured("n_accel")
    return total / devices if total and devices else None


def _is_derived(row: Row) -> bool:
    """Say whether the row's throughput follows from its TTFT and TPOT."""
    words = row.text("notes").lower()
    source = row.text("source").lower()
    return "by little" in words or source.startswith(("inferencex-db", "aiconfigurator-lab"))


def is_queued(row: Row) -> bool:
    """Say whether the measured TTFT is ruled by waiting in a queue."""
    words = row.text("notes").lower()
    if "queue_dominated" in words or "dominated by queueing" in words:
        return True
    ttft = row.measured("ttft_ms_mean", "ttft_ms_p50")
    tpot = row.measured("tpot_ms_mean", "tpot_ms_p50", "itl_ms_mean")
    osl = row.measured("osl")
    if not row.text("load_type").startswith("open_loop") or not (ttft and tpot and osl):
        return False
    offered, done = row.measured("request_rate"), row.measured("req_s")
    if offered and done and done < _OVERLOADED * offered:
        return True
    return ttft > _QUEUED * (ttft + tpot * (osl - 1)) and osl > 1


def _mlperf(row: Row, found: Prediction) -> Raw:
    if row.text("scenario").lower() == "offline":
        return {"throughput": (found.out_tok_s_per_accel, row.measured("tok_s_per_accel"))}
    made = _latencies(row, found)
    tokens = row.measured("tok_s_per_accel")
    return {
        "tpot": made["tpot"],
        "ttft": made["ttft"],
        "throughput": (found.out_tok_s_per_accel, tokens),
    }


def _phase(row: Row, found: Prediction) -> Raw:
    metric, value = row.text("metric"), row.measured("value")
    if metric in ("prompt_time", "ttft"):
        return {"ttft": (found.ttft_ms, value)}
    if metric == "token_time":
        return {"tpot": (found.tpot_ms, value)}
    if metric == "decode_tok_s":
        return {"tpot": (found.tpot_ms, 1e3 / value if value else None)}
    if metric == "prefill_tok_s":
        devices = row.measured("n_accel") or 1.0
        return {"throughput": (found.prompt_tok_s_per_accel, value / devices if value else None)}
    if metric == "e2e_time":
        return {
            "throughput": (
                1e3 / found.e2e_ms if found.e2e_ms else None,
                1e3 / value if value else None,
            )
        }
    return {}


def _scale(row: Row, found: Prediction) -> Raw:
    measured = row.measured("tok_s_per_accel")
    if row.text("phase").startswith("prefill"):
        return {"throughput": (found.prompt_tok_s_per_accel, measured)}
    return {"throughput": (found.out_tok_s_per_accel, measured)}


def summary_of(outcomes: Iterable[Outcome]) -> dict[str, Metric]:
    """Return the errors of every metric over some rows."""
    errors: dict[str, list[float]] = {name: [] for name in METRICS}
    for outcome in outcomes:
        for name, pair in outcome.pairs.items():
            errors[name].append(pair.error)
    return {name: _metric(values) for name, values in errors.items()}


def _metric(errors: Sequence[float]) -> Metric:
    if not errors:
        return Metric(0, None, None, None)
    sizes = sorted(abs(value) for value in errors)
    return Metric(
        len(errors), quantile(sizes, 0.5), quantile(sizes, 0.9), quantile(sorted(errors), 0.5)
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of sorted numbers, linear between neighbours.

    >>> quantile([1.0, 2.0, 4.0], 0.5), quantile([1.0, 2.0, 4.0], 0.75)
    (2.0, 3.0)
    """
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
