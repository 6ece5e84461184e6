"""Waits of M/M/1, M/D/1 and M/M/c, through ``hetsim.run`` on the shipped scenarios.

The confidence interval comes from batch means: successive waits are dependent, means of long
batches hardly. A wrong queue discipline, a lost arrival, a server that idles while someone waits,
or a service that starts a step late all move the mean outside.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import hetsim

BATCHES = 20
STUDENT_99 = 2.861  # two-sided 99 %, 19 degrees of freedom


def erlang_c(servers: int, load: float) -> float:
    """Return the probability of waiting in M/M/c; ``load`` = arrival rate x service time."""
    terms = [load**k / math.factorial(k) for k in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


def waits(name: str, seed: int) -> np.ndarray:
    frame = hetsim.run(name, seed=seed, sets=["workload.requests=40000"]).requests
    frame = frame.sort_values("request_id")
    assert (frame.status == "finished").all()
    return (frame.prefill_start_s - frame.arrival_s).to_numpy()[2000:]


def interval(values: np.ndarray) -> tuple[float, float]:
    means = np.array([batch.mean() for batch in np.array_split(values, BATCHES)])
    half = STUDENT_99 * means.std(ddof=1) / math.sqrt(BATCHES)
    return means.mean() - half, means.mean() + half


CASES = [
    # name, mean wait in service times of one second
    ("queue_mm1", 0.7 / 0.3),
    ("queue_md1", 0.7 / (2 * 0.3)),
    ("queue_mmc", erlang_c(4, 2.8) / (4 - 2.8)),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "expected"), CASES, ids=[case[0] for case in CASES])
def test_mean_wait_is_the_closed_form(name: str, expected: float):
    low, high = interval(waits(name, seed=11))
    assert low <= expected <= high, f"{low:.3f}..{high:.3f} against {expected:.3f}"
    assert high - low < expected, "the interval is too wide to say anything"


@pytest.mark.slow
def test_share_of_those_who_wait_in_mm1_is_the_utilisation():
    values = waits("queue_mm1", seed=5)
    assert abs((values > 1e-9).mean() - 0.7) < 0.03
