"""Terms of attention kernels: worked by hand, monotone, found again where they were planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetsim.calibrate import _fit, _forms
from hetsim.calibrate._models import MODELS
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._table import clean, make_table

PEAK, BANDWIDTH = 1e15, 1e12
ROOF = {"t0_us": 2.0, "e_c": 0.5, "e_m": 1.0, "p": 8.0}
COMMON = {"source": "made", "framework": "made", "format": "bf16"}
NOMINAL = Nominal(
    name="made-up",
    bandwidth_bytes_per_s=3e12,
    peaks_flop_per_s={"bf16": 1e15},
    cache_bytes=0.0,
)


def _grid(**axes: list[int]) -> dict[str, np.ndarray]:
    meshes = np.meshgrid(*[np.array(values, float) for values in axes.values()], indexing="ij")
    return {name: mesh.ravel() for name, mesh in zip(axes, meshes, strict=True)}


def _table(kind: str, grid: dict[str, np.ndarray]):
    return make_table(kind, {**COMMON, "time_s": np.ones(len(grid["batch"])), **grid})


def _found(kind: str, table, truth: dict[str, float]) -> dict[str, float]:
    """Return what a fit finds in times that the form itself made."""
    model = MODELS[kind]
    columns = model.sample(table.assign(frameworks=1), NOMINAL, "bf16").columns
    timed = table.assign(time_s=model.seconds(truth, columns), frameworks=1)
    return _fit.fit(model.shaped, model.seconds, model.sample(timed, NOMINAL, "bf16"))


# --- decode: one block walks the context of a sequence ------------------------------------------


def _decode(batch: float, context: float, heads: float = 32.0, **more: float) -> float:
    """Return the body where memory takes 1 ns and the matrix units 0.5 ns per token."""
    at = (batch, batch * context, heads, 8.0, 0.25e6, 1000.0, PEAK, BANDWIDTH)
    return float(_forms.attention_decode_s(ROOF | more, *at)) - 2e-6


def test_a_walk_takes_the_length_of_one_context_whatever_the_batch() -> None:
    walk = {"walk_ps": 1e6, "walk_p": 8.0}  # 1 us per token, a thousand times the memory's
    assert _decode(1, 100.0, **walk) == pytest.approx(100e-6, rel=1e-3)
    assert _decode(64, 100.0, **walk) == pytest.approx(100e-6, rel=1e-3)


def test_a_walk_is_no_bound_where_many_sequences_fill_the_memory() -> None:
    memory_s = 1e-9 * 4096 * 1000
    assert _decode(4096, 1000.0, walk_ps=1e4, walk_p=8.0) == pytest.approx(memory_s, rel=0.01)
    assert _decode(4096, 1000.0) == pytest.approx(memory_s, rel=0.01)


def test_walk_and_memory_add_up_at_the_lowest_exponent() -> None:
    # 1 ns of memory and 4 ns / 2 sequences of walk, for 2 x 1000 tokens.
    assert _decode(2, 1000.0, walk_ps=4e3, walk_p=1.0) == pytest.approx(6e-6, rel=1e-6)


@pytest.mark.parametrize("walk_ps", [0.0, 100.0, 1e4, 1e6])
def test_walked_decode_rises_with_length_and_batch(walk_ps: float) -> None:
    walk = {"walk_ps": walk_ps, "walk_p": 2.0}
    lengths = [_decode(8, context, **walk) for context in (64, 512, 4096)]
    batches = [_decode(batch, 4096, **walk) for batch in (1, 2, 16, 256)]
    assert lengths == sorted(lengths)
    assert batches == sorted(batches)


def test_few_query_heads_compute_a_whole_tile() -> None:
    tiled = {"head_tile": 64.0, "e_m": 1.0}

    def compute(heads: float, **more: float) -> float:
        at = (1.0, 1000.0, heads, 1.0, heads * 1e6, 1.0, PEAK, BANDWIDTH)
        return float(_forms.attention_decode_s(ROOF | more, *at)) - 2e-6

    assert compute(16.0, **tiled) == pytest.approx(compute(64.0), rel=1e-9)
    assert compute(64.0, **tiled) == pytest.approx(compute(64.0), rel=1e-9)
    assert compute(128.0, **tiled) == pytest.approx(2 * compute(64.0), rel=1e-9)


def test_a_planted_walk_is_found() -> None:
    truth = {"t0_us": 8.0, "e_c": 0.5, "e_m": 0.8, "p": 4.0, "head_tile": 64.0}
    truth |= {"walk_ps": 80e3, "walk_p": 3.0, "cache_gain": 1.0, "per_head_ns": 0.0}
    grid = _grid(batch=[1, 4, 16, 64, 256], context=[256, 1024, 4096, 16384], heads=[1, 8, 64, 128])
    found = _found("attention_decode_mla", _table("attention_decode_mla", grid), truth)
    assert found["walk_ps"] == pytest.approx(80e3, rel=0.02)
    assert found["e_m"] == pytest.approx(0.8, rel=0.05)


# --- prompts: KV heads, and waves that are not full ---------------------------------------------


def _prompt(new: float, batch: float = 1.0, **more: float) -> float:
    at = (new, 0.0, 32.0, 256.0, 0.0, PEAK, BANDWIDTH, batch, 8.0)
    return float(_forms.attention_prefill_s(ROOF | more, *at)) - 2e-6


def test_kv_heads_add_elements_once_per_group() -> None:
    # 8 KV heads of 256 more elements beside 32 query heads of 256: a quarter more work.
    assert _prompt(999.0) == pytest.approx(2 * 32 * 256 * 999 * 500 / 0.5e15)
    assert _prompt(999.0, kv0=256.0) == pytest.approx(1.25 * _prompt(999.0))


def test_too_few_rows_come_on_top_or_instead() -> None:
    rows = 32.0 * 999.0
    assert _prompt(999.0, q0=rows) == pytest.approx(2.0 * _prompt(999.0))
    assert _prompt(999.0, q0=rows, fill_p=8.0) == pytest.approx(2**0.125 * _prompt(999.0))
    assert _prompt(999.0, q0=100 * rows, fill_p=8.0) == pytest.approx(100 * _prompt(999.0))


@pytest.mark.parametrize("fill_p", [1.0, 1.5, 8.0])
def test_prompts_rise_with_length_and_batch(fill_p: float) -> None:
    terms = {"q0": 1e5, "fill_p": fill_p, "kv0": 50.0, "s0_tokens": 500.0}
    lengths = [_prompt(new, **terms) for new in (1, 64, 512, 4096)]
    batches = [_prompt(512, batch, **terms) for batch in (1, 2, 16, 256)]
    assert lengths == sorted(lengths)
    assert batches == sorted(batches)


def test_planted_kv_elements_and_fill_are_found() -> None:
    truth = {"t0_us": 5.0, "e_c": 0.6, "e_m": 0.8, "p": 4.0, "s0_tokens": 300.0}
    truth |= {"q0": 20e3, "fill_p": 3.0, "kv0": 90.0, "head_64": 1.3, "head_256": 0.9}
    axes = {"batch": [1, 8, 32], "new": [128, 512, 2048, 8192], "heads": [8, 32]}
    grid = _grid(**axes, kv_heads=[1, 8], head_dim=[64, 128, 256])
    grid["past"] = np.zeros(len(grid["batch"]))
    found = _found("attention_prefill", _table("attention_prefill", grid), truth)
    for name in ("kv0", "q0", "fill_p"):
        assert found[name] == pytest.approx(truth[name], rel=0.1), name


# --- sources that do not read what they say -----------------------------------------------------


def _sources(claimed: float) -> tuple[object, dict[str, int]]:
    """Clean a table of two sources, one ``claimed`` times as fast as the memory."""
    import pandas as pd

    nominal = replace(NOMINAL, bandwidth_bytes_per_s=1e12, cache_bytes=1e6)
    grid = _grid(batch=[1, 16, 64], context=[256, 4096, 16384], heads=[32])
    grid |= {"kv_heads": grid["heads"] / 4, "head_dim": np.full(len(grid["heads"]), 128.0)}
    table = _table("attention_decode", grid)
    honest = table.assign(time_s=table.bytes / 0.8e12, source="honest", framework="one")
    # In the small shapes it is as slow as its floor, whatever it reads.
    timed = np.maximum(table.bytes / (claimed * 1e12), 100e-6)
    other = table.assign(time_s=timed, source="other", framework="two")
    return clean(pd.concat([honest, other], ignore_index=True), nominal)


def test_a_source_that_outruns_the_memory_is_left_out_whole() -> None:
    rows, dropped = _sources(claimed=1.6)
    assert dropped["bytes not read"] == 9
    assert set(rows["source"]) == {"honest"}


def test_a_source_as_fast_as_the_memory_stays() -> None:
    rows, dropped = _sources(claimed=0.99)
    assert "bytes not read" not in dropped
    assert "other" in set(rows["source"])
