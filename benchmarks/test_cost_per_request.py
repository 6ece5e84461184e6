"""Speed in bare SimPy timeouts: a request of a 16P+16D run, with all tables recorded.

What is measured: CPU seconds (user and system, all threads) of the whole ``hetsim run`` of
``scenarios/scale_16p16d.yaml`` in a process of its own, every table written to disk. Cost of one
more request = (seconds of 25,000 requests - seconds of 5,000) / 20,000 / seconds of one bare
timeout; so imports, reading and building cancel. The bare timeout is that of one process that only
waits, the best of five rounds in the same process, before and after the run. ``median`` of three.

Then the same cost with outputs ten times longer, as a ratio; and a run of 1,000,000 requests: its
peak memory, and whether late requests cost what early ones do. The figures to reach are in
``LIMITS``; a run that misses one fails. On a machine that others use, seconds say little:
``tests/laws/test_work_per_request.py`` counts calls and heap entries instead, the same everywhere.
"""

from __future__ import annotations

import os
from statistics import median
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.nightly]

LIMITS = {"request": 60.0, "longer_outputs_ratio": 1.2, "peak_bytes": 2.0 * 2**30}
REPEATS = 3

# Outputs ten times longer hold their slots and their KV ten times longer, and longer contexts make
# steps slower: at a twentieth of the rate neither run is short of blocks, whose preemptions would
# be timed instead.
LONGER = ("workload.output.mean=2000", "workload.rate=32 req/s")
USUAL = ("workload.output.mean=200",)
MILLION = int(os.environ.get("HETSIM_BENCH_REQUESTS", "1000000"))


def _measure(benchmark: Any, name: str, measure: Any) -> float:
    found = [float(measure()) for _ in range(REPEATS)]
    benchmark.extra_info[name] = found
    benchmark.pedantic(lambda: None, rounds=1)  # the figures are in extra_info
    return median(found)


def test_cost_of_a_request(benchmark, bench):
    cost = _measure(benchmark, "timeouts", bench.timeouts)
    assert cost <= LIMITS["request"], f"{cost:.1f} timeouts"


def test_ten_times_longer_outputs_cost_the_same(benchmark, bench):
    ratio = _measure(benchmark, "ratio", lambda: bench.timeouts(*LONGER) / bench.timeouts(*USUAL))
    assert ratio <= LIMITS["longer_outputs_ratio"], f"{ratio:.2f} times"


def test_a_million_requests_take_linear_time_and_bounded_memory(benchmark, bench):
    tenth, whole = bench.run(MILLION // 10), bench.run(MILLION)
    start = bench.run(MILLION // 100)
    # From the second tenth on a request must not cost more than in the first one.
    early = (tenth["cpu_s"] - start["cpu_s"]) / (0.09 * MILLION)
    late = (whole["cpu_s"] - tenth["cpu_s"]) / (0.9 * MILLION)
    benchmark.extra_info.update(
        peak_bytes=whole["peak_bytes"],
        timeouts_early=early / tenth["bare_s"],
        timeouts_late=late / whole["bare_s"],
    )
    benchmark.pedantic(lambda: None, rounds=1)
    assert whole["peak_bytes"] <= LIMITS["peak_bytes"], f"{whole['peak_bytes'] / 2**30:.2f} GiB"
    assert late <= 1.25 * early, f"{late / early:.2f} times the cost of the first requests"
