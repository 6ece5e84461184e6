"""What prefill hides, and the fits behind the calibration file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hetsim.transfer import (
    exposed_after_prefill_s,
    exposed_layerwise_s,
    get_transfer_engine,
    layer_ready_s,
)
from hetsim.transfer._fit import fit_ceiling, fit_line

QWEN3_8B_BYTES_PER_TOKEN = 36 * 8 * 256 * 2


def test_a_wire_that_keeps_up_exposes_one_layer() -> None:
    assert exposed_layerwise_s(10.0, 8.0, 80) == pytest.approx(0.1)


def test_a_slow_wire_exposes_its_backlog() -> None:
    # The first of four layers is ready at 1 s; then 20 s of wire; prefill ends at 4 s.
    assert exposed_layerwise_s(4.0, 20.0, 4) == pytest.approx(17.0)


@pytest.mark.parametrize(("prefill", "transfer"), [(4.0, 1.0), (4.0, 4.0), (4.0, 20.0)])
@pytest.mark.parametrize("layers", [1, 2, 61])
def test_closed_form_equals_the_pieces_one_by_one(
    prefill: float, transfer: float, layers: int
) -> None:
    ready = layer_ready_s(prefill, layers)
    pieces = [transfer / layers] * layers
    one_by_one = exposed_after_prefill_s(ready, pieces, prefill)
    assert exposed_layerwise_s(prefill, transfer, layers) == pytest.approx(one_by_one)


def test_one_piece_hides_nothing() -> None:
    assert exposed_layerwise_s(100.0, 3.0, 1) == 3.0


def test_uneven_chunks_wait_for_each_other() -> None:
    # The second chunk is ready at 3 s, while the first still runs until 5 s.
    assert exposed_after_prefill_s([1.0, 3.0, 10.0], [4.0, 1.0, 2.0], 10.0) == 2.0


def test_line_fit_finds_what_made_the_points() -> None:
    made = fit_line([1e6, 1e7, 1e9], [0.001 + size / 50e9 for size in (1e6, 1e7, 1e9)])
    assert made.fixed_s == pytest.approx(0.001)
    assert made.bytes_per_s == pytest.approx(50e9)
    assert made.median_error_ratio < 1e-9


def test_ceiling_fit_needs_two_points() -> None:
    with pytest.raises(ValueError, match="two points"):
        fit_ceiling([1e3], [1e9])


def rows(shared_data: Path, source: str) -> list[dict[str, str]]:
    path = shared_data / "validation" / "kv_transfer.csv"
    with path.open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["source"] == source]


def test_two_points_of_the_h800_curve_predict_a_third(shared_data: Path) -> None:
    """Fit on 1k and 32k tokens, predict 8k: within 20 % is asked, 6 % is reached."""
    found = rows(shared_data, "mooncake-vllm-pd")
    seconds = {int(row["prompt_tokens"]): float(row["transfer_ms"]) / 1e3 for row in found}
    ends = [1024, 32768]
    made = fit_line(
        [tokens * QWEN3_8B_BYTES_PER_TOKEN for tokens in ends], [seconds[tokens] for tokens in ends]
    )
    predicted = made.seconds(8192 * QWEN3_8B_BYTES_PER_TOKEN)
    assert predicted == pytest.approx(seconds[8192], rel=0.07)


def test_calibrated_h800_numbers_are_those_of_the_fit(shared_data: Path) -> None:
    found = rows(shared_data, "mooncake-vllm-pd")
    made = fit_line(
        [int(row["prompt_tokens"]) * QWEN3_8B_BYTES_PER_TOKEN for row in found],
        [float(row["transfer_ms"]) / 1e3 for row in found],
    )
    kept = get_transfer_engine("mooncake_rdma_vllm")
    assert kept.control_s == pytest.approx(made.fixed_s, rel=0.01)
    assert kept.ceiling_ratio == pytest.approx(made.bytes_per_s / 200e9, rel=0.01)
    assert kept.fit_error_ratio == pytest.approx(made.median_error_ratio, rel=0.02)


@pytest.mark.parametrize("operation", ["write", "read"])
def test_calibrated_efa_numbers_are_those_of_the_sweep(shared_data: Path, operation: str) -> None:
    found = [
        row for row in rows(shared_data, "mooncake-te-efa-blocksweep") if row["op"] == operation
    ]
    made = fit_ceiling(
        [float(row["block_bytes"]) for row in found],
        [float(row["bandwidth_gbs"]) * 1e9 for row in found],
    )
    kept = get_transfer_engine(f"mooncake_efa_{operation}")
    assert kept.descriptors_per_s == pytest.approx(made.descriptors_per_s / 16, rel=0.01)
    assert kept.ceiling_ratio == pytest.approx(made.bytes_per_s / 400e9, rel=0.01)
    assert kept.fit_error_ratio == pytest.approx(made.median_error_ratio, rel=0.02)


def test_h20_points_give_the_sglang_engine() -> None:
    """Source: Mooncake documentation, SGLang on H20-3e, 4 x 400 Gbit/s; bytes and ms."""
    sizes = [49e6, 197e6, 394e6, 1.58e9, 12.6e9]
    made = fit_line(sizes, [2.07e-3, 2.98e-3, 3.96e-3, 10.95e-3, 76.8e-3])
    kept = get_transfer_engine("mooncake_rdma_sglang")
    assert kept.control_s == pytest.approx(made.fixed_s, rel=0.01)
    assert kept.ceiling_ratio == pytest.approx(made.bytes_per_s / 200e9, rel=0.01)
