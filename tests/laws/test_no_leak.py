"""Every runtime that a run models gives all its blocks back: more work passes than fits at once."""

from __future__ import annotations

import pytest

import hetsim
from hetsim.runtimes import get_runtime, runtime_names

PAIRS = [
    name
    for name in runtime_names()
    if get_runtime(name).use == "disaggregated" and get_runtime(name).protocol is not None
]
STORES = {
    "pool_lease": "residency={remote: {capacity: 60 GB, nodes: 1, nics_per_node: 2}}",
    "copy_out": "boundary.transit=2 GB",
}
"""What a hand-off that does not go straight from P to D needs between them."""


def test_the_list_is_not_empty():
    assert {"vllm_nixl_pull", "sglang_early", "ascend_layerwise", "tpu"} <= set(PAIRS)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", PAIRS)
def test_three_times_the_prompts_that_a_pool_holds_pass_through_it(runtime: str):
    sets = [f"pools.{pool}.runtime={runtime}" for pool in ("prefill", "decode")]
    kind = get_runtime(runtime).protocol.kind  # type: ignore[union-attr]
    sets += [STORES[kind]] if kind in STORES else []
    sets += ["workload.requests=1500", "workload.output={kind: fixed, tokens: 20}"]
    result = hetsim.run("quickstart", sets=sets)
    counts = result.summary["requests"]
    assert counts["finished"] == counts["arrived"] == 1500
    # 1,500 prompts of a thousand tokens are more than three times the KV of the prefill instance.
    last = result.steps[result.steps.pool == "prefill"].iloc[-1]
    assert last.blocks_used < 0.2 * last.blocks_total
