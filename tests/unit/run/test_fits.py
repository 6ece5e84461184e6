"""A workload of which nothing fits is refused; one of which something fits is not."""

from __future__ import annotations

import pytest

import hetsim
from hetsim.errors import InfeasibleError

TINY = "pools.decode.estimator={kind: constant, prefill: 1 ms, decode_step: 1 ms, blocks: 100}"


def test_a_fixed_length_larger_than_the_pool_is_refused_with_the_difference():
    sets = [TINY, "workload.input={kind: fixed, tokens: 1600}", "workload.requests=5"]
    sets.append("workload.output={kind: fixed, tokens: 10}")
    with pytest.raises(InfeasibleError, match=r"needs 1610 tokens.*holds 1600, short by 10"):
        hetsim.run("quickstart", sets=sets)


def test_requests_that_do_not_fit_are_rejected_where_others_do():
    counts = hetsim.run("quickstart", sets=[TINY, "workload.requests=50"]).summary["requests"]
    assert 0 < counts["rejected"] < 50
    assert counts["rejected"] + counts["finished"] == 50
