"""The lean hand-off of calm runs leaves what the plain one leaves, row by row."""

from __future__ import annotations

import pytest

from hetsim.run import run
from hetsim.stages import _faults
from hetsim.stages._handoff import Handoff

RUNTIMES = ("vllm_nixl_pull", "vllm_nixl_push", "ascend_layerwise", "sglang_early", "trtllm_cpp")
SETS = ("workload.requests=120", "network.nic=100 Gbit/s")


def _tables(sets):
    result = run("homogeneous_pd", sets=(*SETS, *sets))
    names = ("requests", "steps", "transfers", "ownership", "occupancy", "gaps")
    return {name: result.table(name) for name in names}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_calm_and_plain_hand_offs_agree(monkeypatch, runtime):
    sets = (f"pools.prefill.runtime={runtime}", f"pools.decode.runtime={runtime}")
    lean = _tables(sets)
    monkeypatch.setattr(_faults, "CalmHandoff", Handoff)
    plain = _tables(sets)
    assert len(lean["ownership"]) > 4 * len(lean["requests"])
    for name, table in lean.items():
        assert table.equals(plain[name]), name
