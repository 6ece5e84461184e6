"""Many runs in one process, as in a sweep, do not keep each other's worlds."""

from __future__ import annotations

import gc

import pytest

from hetsim.run import run
from hetsim.stages import World


@pytest.mark.slow
def test_worlds_of_earlier_runs_are_freed() -> None:
    for _ in range(24):
        run("queue_mmc", sets=["workload.requests=2500"])
    left = sum(type(one) is World for one in gc.get_objects())
    assert left <= 12
