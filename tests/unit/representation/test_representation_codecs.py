"""Codes: all 256 of them, the halved scale, the measured errors, and a missing package."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from hetsim.errors import InfeasibleError
from hetsim.precision import FORMATS, conversion
from hetsim.representation import KV_ERROR, Representation
from hetsim.representation._codecs import Coded, decode, encode, twin_codes
from hetsim.representation._errors_measured import measure_kv_error, measure_kv_errors

CODES = np.arange(256, dtype=np.uint8)


def cache(enc: str = "bf16", gran: str = "none", loc: str = "none") -> Representation:
    fields: dict[str, Any] = {"enc": enc, "scale_gran": gran, "scale_loc": loc}
    return Representation(
        semantics_id="m",
        group_kind="mha_gqa",
        group_layers=(0,),
        model_layers=1,
        kv_heads_total=1,
        dim_k=32,
        dim_v=32,
        page_tokens=16,
        order="LBHN",
        kv_pack="merged_row",
        **fields,
    )


def meaning(codes: Any, dtype: Any) -> Any:
    return codes.view(dtype).astype(np.float64)


def test_fn_and_fnuz_codes_differ_by_two_except_three() -> None:
    """Enumerated again: the study's claim on 0x7F, 0x80 and 0xFF holds."""
    fn = meaning(CODES, ml_dtypes.float8_e4m3fn)
    fnuz = meaning(CODES, ml_dtypes.float8_e4m3fnuz)
    off = [int(code) for code in CODES if fn[code] != 2 * fnuz[code]]
    assert off == [0x7F, 0x80, 0xFF]


def test_fn_to_fnuz_keeps_every_finite_value() -> None:
    made = twin_codes(CODES, "e4m3fn", "e4m3fnuz")
    fn = meaning(CODES, ml_dtypes.float8_e4m3fn)
    finite = np.isfinite(fn)
    assert (2 * meaning(made, ml_dtypes.float8_e4m3fnuz)[finite] == fn[finite]).all()


def test_fnuz_to_fn_loses_only_what_a_clip_at_224_would() -> None:
    made = twin_codes(CODES, "e4m3fnuz", "e4m3fn")
    fnuz = meaning(CODES, ml_dtypes.float8_e4m3fnuz)
    fn = meaning(made, ml_dtypes.float8_e4m3fn)
    keeps = np.isfinite(fnuz) & (np.abs(fnuz) <= 224)
    assert (fn[keeps] == 2 * fnuz[keeps]).all()
    assert np.isfinite(fn[np.abs(fnuz) == 240]).all()


def test_halving_codes_is_not_exact_even_without_saturation() -> None:
    """The study's exception for power-of-two ratios fails: underflow, and odd integers."""
    dtype = ml_dtypes.float8_e4m3fn
    smallest = np.asarray([1], np.uint8).view(dtype).astype(np.float32)
    assert (smallest / 2).astype(dtype).astype(np.float32) * 2 != smallest
    assert np.rint(np.float32(3) / 2) * 2 != 3


GRIDS = {
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
    "fp8_e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
}
WIDE = {"bf16": ml_dtypes.bfloat16, "fp16": np.float16, "fp32": np.float32, **GRIDS}


@pytest.mark.parametrize("source", GRIDS)
@pytest.mark.parametrize("target", WIDE)
def test_conversion_is_exact_just_where_every_code_survives(source: str, target: str) -> None:
    made = conversion(source, target)
    values = meaning(CODES, GRIDS[source])
    values = values[np.isfinite(values)]
    factor = 2.0**made.scale_shift
    if made.condition:
        values = values[np.abs(values) <= float(made.condition.rsplit(" ", 1)[1])]
    with np.errstate(over="ignore"):
        after = (values * factor).astype(np.float32).astype(WIDE[target]).astype(np.float64)
    assert made.exact == bool((after / factor == values).all())


def test_integers_and_blocks_widen_as_their_grids_say() -> None:
    assert conversion("int8", "bf16").exact
    assert conversion("nvfp4", "bf16").exact
    assert conversion("mxfp8", "bf16").exact
    assert not conversion("mxfp8", "fp16").exact  # a block exponent of 2**100 overflows
    assert not conversion("int8", "fp8_e4m3").exact
    assert not conversion("bf16", "fp16").exact
    assert not conversion("nvfp4", "mxfp8").exact


def test_every_format_has_a_grid_and_a_cost() -> None:
    for name in FORMATS:
        made = conversion(name, "fp32")
        assert made.read_bytes_per_element == FORMATS[name].bytes_per_element
        assert made.write_bytes_per_element == 4


@pytest.mark.slow
def test_recorded_errors_are_those_measured_now() -> None:
    for key, found in measure_kv_errors(cache()).items():
        kept = KV_ERROR[key]
        assert kept.gaussian_ratio == pytest.approx(found.gaussian_ratio, rel=1e-3), key
        assert kept.outlier_ratio == pytest.approx(found.outlier_ratio, rel=1e-3), key


def test_errors_have_the_size_that_the_formats_explain() -> None:
    # Rounding to s significant bits loses about 2**-s / sqrt(3) / 1.4 on average.
    assert 2**-9 / 2 < KV_ERROR["bf16/none"].gaussian_ratio < 2**-9
    assert 2**-5 / 2 < KV_ERROR["e4m3fn/tensor_static"].gaussian_ratio < 2**-5
    # One scale per tensor hurts integers as soon as a channel sticks out; floats do not care.
    assert KV_ERROR["int8/tensor_static"].outlier_ratio > 4 * (
        KV_ERROR["int8/tensor_static"].gaussian_ratio
    )
    assert KV_ERROR["e4m3fn/tensor_static"].outlier_ratio < 1.1 * (
        KV_ERROR["e4m3fn/tensor_static"].gaussian_ratio
    )


def test_four_bit_codes_share_bytes_and_come_back() -> None:
    rep = cache("int4", "token_head_dyn", "inline_row")
    values = np.arange(-7, 8, dtype=np.float32)[None, None, None, :14]
    made = encode(values, rep)
    assert made.codes.shape[-1] == 7
    assert decode(made, rep).tolist() == values.tolist()


def test_mx_scales_are_powers_of_two() -> None:
    rep = cache("mxfp8", "block32", "inline_row")
    values = np.linspace(-3, 3, 64, dtype=np.float32)[None, None, None]
    scales = encode(values, rep).scales.view(ml_dtypes.float8_e8m0fnu).astype(np.float32)
    assert scales.tolist() == [[[[2.0**-7, 2.0**-7]]]]


def test_a_coarser_scale_never_fits_better() -> None:
    by_tensor = measure_kv_error(cache("int8", "tensor_static", "checkpoint"))
    by_token = measure_kv_error(cache("int8", "token_head_dyn", "inline_row"))
    assert by_token.outlier_ratio < by_tensor.outlier_ratio


def test_without_ml_dtypes_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(InfeasibleError, match="pip install ml_dtypes"):
        encode(np.zeros((1, 1, 1, 32), np.float32), cache())


def test_plain_codes_need_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    rep = replace(cache(), enc="fp16")
    values = np.ones((1, 1, 1, 32), np.float32)
    made = encode(values, rep)
    assert isinstance(made, Coded)
    assert (decode(made, rep) == values).all()
