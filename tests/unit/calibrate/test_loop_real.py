"""A tiny decoder in two real processes: the text survives the hand-off, no process survives us."""

from __future__ import annotations

import multiprocessing
import time
from typing import Any

import pytest

pytest.importorskip("torch", reason="the closed loop needs torch (extra calibrate)")

from hetsim.calibrate.loop import (
    SIZES,
    Ask,
    Case,
    Codec,
    Handoff,
    KvCache,
    ModelKey,
    Pair,
    Transformer,
    config_of,
    dims_of,
    reference_tokens,
)
from hetsim.calibrate.loop._links import probe_cases
from hetsim.calibrate.loop._pair import _Worker
from hetsim.calibrate.loop._prefill import prompt_of
from hetsim.calibrate.loop._process import serve_prefill
from hetsim.errors import InfeasibleError

TINY = dims_of(SIZES["tiny"])
ASKS = (Ask(0.0, 24, 5, 1), Ask(0.0, 40, 7, 2), Ask(1e-3, 33, 4, 3), Ask(0.01, 17, 6, 4))


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("fmt", ["bf16", "fp32"])
def test_decoding_over_a_cache_is_reading_the_longer_prompt(fmt: str) -> None:
    import torch

    model = Transformer(TINY, fmt)
    codec = model.codec(fmt)
    prompt = prompt_of(TINY.vocab, 30, 5)
    first, kv = model.prefill(prompt)
    cache = KvCache.empty(TINY, codec, 40)
    codec.encode_all(kv, cache.head(30))
    cache.length = 30
    tokens = [first]
    for _ in range(4):
        tokens += model.decode(torch.tensor(tokens[-1:]), [cache])
    whole = [model.prefill(torch.cat([prompt, torch.tensor(tokens[:i], dtype=prompt.dtype)]))[0]
             for i in range(5)]  # fmt: skip
    if fmt == "fp32":  # in bf16 one row and many are summed in another order
        assert tokens == whole
    assert tokens[:1] == whole[:1]


def test_positions_and_masks_matter() -> None:
    import torch

    model = Transformer(TINY, "fp32")
    prompt = prompt_of(TINY.vocab, 20, 6)
    early = model.prefill(prompt)[1][:, :, :10]
    assert torch.allclose(early, model.prefill(prompt[:10])[1], atol=1e-5)  # causal
    turned = model.prefill(prompt.flip(0))[1].flip(2)
    assert not torch.allclose(turned[1], model.prefill(prompt)[1][1], atol=1e-2)


@pytest.mark.parametrize(("fmt", "error"), [("int8", 0.02), ("fp8_e4m3", 0.07)])
def test_codecs_keep_values_within_their_format(fmt: str, error: float) -> None:
    import torch

    values = torch.randn(2, 2, 50, 2, 16, generator=torch.Generator().manual_seed(1))
    codec = Codec(fmt, values)
    codes = torch.empty(values.shape, dtype=codec.dtype)
    back = torch.empty_like(values)
    codec.encode_all(values, codes)
    codec.decode_all(codes, back)
    assert codes.element_size() == 1
    assert float((back - values).abs().mean() / values.abs().mean()) < error
    # Token by token is the same as all at once.
    assert torch.equal(codec.encode(1, values[1]).float(), codes[1].float())
    assert torch.allclose(codec.decode(1, codes[1]), back[1])


def cases() -> tuple[Case, ...]:
    made = []
    for fmt in ("bf16", "fp32"):
        for through in ("tcp", "shared_memory"):
            made.append(Case(f"{fmt} {through}", ModelKey("tiny", fmt),
                             Handoff(fmt, fmt, through), ASKS))  # fmt: skip
    for kv, wire in (("int8", "int8"), ("fp8_e4m3", "bf16"), ("bf16", "int8")):
        made.append(Case(f"{kv}/{wire}", ModelKey("tiny", "bf16"), Handoff(kv, wire), ASKS))
    return tuple(made)


@pytest.mark.slow
def test_a_pair_says_what_one_process_says_and_leaves_nothing() -> None:
    everything = cases()
    with Pair(everything, limit_s=60.0) as pair:
        before = multiprocessing.active_children()
        assert len(before) == 2
        for case in everything:
            served = pair.run(case)
            rows = served["requests"]
            assert [len(row["output"]) for row in rows] == [ask.osl for ask in ASKS]
            if case.handoff.side(case.model.format) != "producer":
                assert [r["output"] for r in rows] == reference_tokens(case, served["steps"])
            width = {"bf16": 2, "fp32": 4, "int8": 1}[case.handoff.wire]
            for row, ask in zip(rows, ASKS, strict=True):
                assert row["bytes"] == TINY.kv_elements(ask.isl) * width
                assert row["prefill_end_s"] <= row["sent_s"] <= row["landed_s"]
                assert row["landed_s"] <= row["first_token_s"] <= row["last_token_s"]
        together = max(len(step["requests"]) for step in served["steps"])
        assert together > 1  # continuous batching: later requests joined a running batch
        for probe in probe_cases(everything):
            through, size, seconds = pair.probe(probe, repeats=1)
            assert through == probe.handoff.through
            width = {"bf16": 2, "fp32": 4}[probe.model.format]
            assert size == TINY.kv_elements(probe.asks[0].isl) * width
            assert 0.0 < seconds < 1.0
        (cpu, wall), *_ = pair.sentinels()
        assert min(cpu, wall) > 0.0
    assert not set(before) & set(multiprocessing.active_children())


@pytest.mark.slow
def test_failures_are_told_and_processes_end() -> None:
    case = Case("c", ModelKey("tiny", "bf16"), Handoff("bf16", "bf16"), ASKS[:1])
    unknown = case._replace(model=ModelKey("31m", "bf16"))
    with Pair((case,), limit_s=20.0) as pair, pytest.raises(InfeasibleError, match="process"):
        pair.run(unknown)
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_worker_ends_by_itself_when_nobody_speaks() -> None:
    silent = _Worker(serve_prefill, None, 2.0)
    orphan = _Worker(serve_prefill, None, 60.0)
    orphan.orders.close()  # as if its parent had died
    deadline = time.monotonic() + 40.0
    while time.monotonic() < deadline and (
        silent._process.is_alive() or orphan._process.is_alive()
    ):
        time.sleep(0.1)
    assert not silent._process.is_alive() and not orphan._process.is_alive()
    assert config_of("tiny")["model_type"] == "llama"
