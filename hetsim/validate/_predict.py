"""One row in, one outcome out; whatever goes wrong becomes a reason."""

from __future__ import annotations

from collections.abc import Sequence

from hetsim.errors import HetsimError, InfeasibleError, ScenarioError
from hetsim.validate._constants import Constants
from hetsim.validate._job import Job, Prediction
from hetsim.validate._score import Outcome, pairs_of
from hetsim.validate._serving import serving_jobs
from hetsim.validate._simulate import Simulator
from hetsim.validate._table import Row
from hetsim.validate._tables import mlperf_jobs, phase_jobs, scale_jobs
from hetsim.validate._transfers import bandwidth_of

__all__ = ["jobs_of", "predict", "predict_all"]

_JOBS = {
    "serving": serving_jobs,
    "mlperf_llm": mlperf_jobs,
    "phase_latency": phase_jobs,
    "pd_scale": scale_jobs,
}


def jobs_of(row: Row) -> list[Job]:
    """Return what has to be simulated for a row."""
    return _JOBS[row.kind](row)


def predict(row: Row, simulator: Simulator) -> Outcome:
    """Return the outcome of a row: a prediction, or why there is none."""
    try:
        found = _prediction(row, simulator)
    except InfeasibleError as error:
        return Outcome(row, "does_not_fit", _first_line(error), Prediction(), {})
    except ScenarioError as error:
        reason = "; ".join(str(problem) for problem in error.problems)
        return Outcome(row, "failed", reason, Prediction(), {})
    except HetsimError as error:
        return Outcome(row, "failed", f"defect: {_first_line(error)}", Prediction(), {})
    except Exception as error:
        # One bad row must not cost the others.
        reason = f"defect: {type(error).__name__}: {_first_line(error)}"
        return Outcome(row, "failed", reason, Prediction(), {})
    return Outcome(row, "ok", "; ".join(found.notes), found, pairs_of(row, found))


def _prediction(row: Row, simulator: Simulator) -> Prediction:
    if row.kind == "kv_transfer":
        rate, milliseconds = bandwidth_of(row)
        time = "" if milliseconds is None else f", {milliseconds:.3g} ms"
        return Prediction(notes=(f"{rate / 1e9:.4g} GB/s{time}",), transfer_bytes_per_s=rate)
    return simulator.best(jobs_of(row))


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def predict_all(
    rows: list[Row],
    constants: Constants | None = None,
    own: bool = True,
    draws: int = 0,
    sampled: Sequence[bool] | None = None,
) -> list[Outcome]:
    """Return the outcomes of rows that are predicted one after the other.

    With ``draws``, every scored metric gets as many sampled predictions; ``sampled`` says of which
    rows (all, unless it is given).
    """
    simulator = Simulator(constants, own=own)
    found = [predict(row, simulator) for row in rows]
    chosen = [bool(o.pairs) for o in found]
    if sampled is not None:
        chosen = [a and b for a, b in zip(chosen, sampled, strict=True)]
    if not draws or not any(chosen):
        return found
    samples: list[dict[str, list[float]]] = [{name: [] for name in o.pairs} for o in found]
    for draw in range(draws):
        sampler = Simulator(constants, own=own, draw=draw)
        for outcome, kept, wanted in zip(found, samples, chosen, strict=True):
            moved = predict(outcome.row, sampler).pairs if wanted else {}
            for name in kept:
                if name in moved:
                    kept[name].append(moved[name].predicted)
    return [
        outcome._replace(samples={k: tuple(v) for k, v in kept.items() if v}) if wanted else outcome
        for outcome, kept, wanted in zip(found, samples, chosen, strict=True)
    ]
