"""Bad rows are dropped and counted by reason; tables that cannot be read are refused."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hetsim.calibrate._formats import kernel_format
from hetsim.calibrate._nominal import Nominal, nominal_of
from hetsim.calibrate._table import clean, make_table
from hetsim.errors import ScenarioError

NOMINAL = Nominal(
    name="made-up",
    bandwidth_bytes_per_s=1e12,
    peaks_flop_per_s={"bf16": 1e14, "fp8": 2e14},
    cache_bytes=50e6,
)


def _gemms(times_us: list[float], m: int = 4096, **more) -> pd.DataFrame:
    count = len(times_us)
    columns = {
        "format": "bf16",
        "source": "made",
        "framework": "made",
        "time_s": np.array(times_us) * 1e-6,
        "m": np.full(count, m) + np.arange(count),
        "n": np.full(count, 4096),
        "k": np.full(count, 4096),
        **more,
    }
    return make_table("gemm", columns)


def test_work_of_a_gemm() -> None:
    row = _gemms([2000.0]).iloc[0]
    assert row.flops == 2.0 * 4096**3
    assert row.bytes == 3 * 2 * 4096**2


def test_good_rows_pass_untouched() -> None:
    kept, dropped = clean(_gemms([2000.0, 2500.0]), NOMINAL)
    assert (len(kept), dropped) == (2, {})


def test_rows_beyond_the_peak_are_dropped_and_counted() -> None:
    # 2 * 4096^3 FLOP at 1e14/s take 1374 us.
    kept, dropped = clean(_gemms([2000.0, 1000.0, 1500.0]), NOMINAL)
    assert kept.time_s.tolist() == [2000e-6, 1500e-6]
    assert dropped == {"beyond peak": 1}


def test_only_cold_rows_can_be_beyond_the_bandwidth() -> None:
    # 134 MB at 1e12 B/s take 134 us; half of the row count still fits the cache.
    cold = _gemms([100.0, 150.0, 160.0], m=1, n=np.full(3, 16384))
    warm = _gemms([20.0, 150.0, 160.0], m=1)
    assert clean(cold, NOMINAL)[1] == {"beyond bandwidth": 1}
    assert clean(warm, NOMINAL)[1] == {}


@pytest.mark.parametrize(
    ("times_us", "reason"),
    [
        ([np.nan, 2000.0], "not a number"),
        ([np.inf, 2000.0], "not a number"),
        ([0.0, 2000.0], "not positive"),
        ([-3.0, 2000.0], "not positive"),
    ],
)
def test_times_that_are_no_times(times_us: list[float], reason: str) -> None:
    kept, dropped = clean(_gemms(times_us), NOMINAL)
    assert len(kept) == 1
    assert dropped == {reason: 1}


def test_a_zero_shape_is_dropped() -> None:
    _, dropped = clean(_gemms([2000.0, 2000.0], n=np.array([0, 4096])), NOMINAL)
    assert dropped == {"not positive": 1}


def test_a_source_in_the_wrong_unit_is_dropped_whole() -> None:
    right = _gemms([2000.0, 2100.0, 2200.0])
    thousandth = _gemms([2.0, 2.1, 2.2], m=8192).assign(source="other")
    kept, dropped = clean(pd.concat([right, thousandth]), NOMINAL)
    assert set(kept.source) == {"made"}
    assert dropped == {"unit": 3}


def test_a_source_that_is_a_million_times_too_slow_is_dropped_whole() -> None:
    right = _gemms([2000.0, 2100.0, 2200.0])
    slow = _gemms([2e9, 2.1e9, 2.2e9], m=8192).assign(source="other")
    assert clean(pd.concat([right, slow]), NOMINAL)[1] == {"unit": 3}


def test_the_fastest_framework_of_a_shape_stays() -> None:
    both = pd.concat([_gemms([2000.0, 2600.0]), _gemms([2400.0, 2300.0]).assign(framework="b")])
    kept, dropped = clean(both, NOMINAL)
    assert kept.time_s.tolist() == [2000e-6, 2300e-6]
    assert kept.frameworks.tolist() == [2, 2]
    assert dropped == {"slower framework": 2}


def test_an_empty_table_stays_empty() -> None:
    kept, dropped = clean(_gemms([2000.0]).head(0), NOMINAL)
    assert (len(kept), dropped) == (0, {})


def test_every_missing_column_is_named() -> None:
    with pytest.raises(ScenarioError) as caught:
        make_table("gemm", {"format": "bf16", "source": "x.csv", "framework": "f", "m": 1})
    message = str(caught.value)
    assert all(f"column '{name}' is missing" in message for name in ("time_s", "n", "k"))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ScenarioError, match="no kernel kind 'gem'"):
        make_table("gem", {})


def test_formats_with_narrow_weights() -> None:
    assert kernel_format("fp8_e4m3").roof == "fp8"
    assert kernel_format("mxfp8_w_mxfp4").weight_bytes == 0.53125
    with pytest.raises(ScenarioError):
        kernel_format("bf16_w_int3")


def test_a_roof_that_the_device_lacks_is_that_of_16_bit() -> None:
    assert NOMINAL.peak("fp8") == 2e14
    assert NOMINAL.peak("fp4") == 1e14


def test_nominal_values_come_from_the_profile() -> None:
    h100 = nominal_of("h100-sxm")
    assert h100.bandwidth_bytes_per_s == 3.35e12
    assert h100.peak("bf16") == 9.89e14
