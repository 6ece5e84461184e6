"""Prompt chunks alone are computed by a shorter way: the same sum, to the last bit."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetsim.costs._prompts import only_prompts
from hetsim.scenario import load_scenario
from hetsim.stages import build_plan

CHUNKS = st.lists(st.tuples(st.integers(1, 4096), st.integers(0, 9000)), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def model():
    loaded = load_scenario("scale_16p16d")
    return build_plan(loaded.scenario, loaded.base_dir).pools[0].model


@given(chunks=CHUNKS)
@settings(deadline=None)
def test_prompts_alone_cost_what_they_cost_in_a_mixed_step_of_nothing_else(model, chunks):
    zeros = (0.0,) * len(model.windows)
    assert only_prompts(model, chunks) == model._mixed(((chunks, 0, zeros),))
    assert model.step(chunks, 0, zeros) == model._mixed(((chunks, 0, zeros),))
