"""Best tuned GEMM and fused MoE kernels of ROCm on MI300X and MI355X.

*Source:* ROCm/aiter at e404860, MIT, ``aiter/configs`` tuned tables. Times are those of the fastest
kernel found by the tuner for each shape; narrow shapes ran with warm caches.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._table import make_table
from hetsim.calibrate.adapters._csv import folder_of, read_csv

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEVICES", "PROVIDER", "SOURCE", "read"]

SOURCE = "ROCm aiter tuned tables at e404860 (MIT)"
PROVIDER = "fastest tuned ROCm kernel per shape"
DEVICES = {"mi300x": "MI300X", "mi308x": "MI308X", "mi355x": "MI355X"}

_GEMM = {"bf16": "bf16", "a8w8_blockscale": "fp8_block", "a4w4": "mxfp4"}
_MOE = {
    ("fp8", "fp8"): "fp8_block",
    ("fp4", "fp4"): "mxfp4",
    ("fp8", "fp4"): "mxfp8_w_mxfp4",
    ("bf16", "fp4"): "bf16_w_mxfp4",
    ("bf16", "int4"): "bf16_w_int4",
}
_COPIED = 3
"""A time that stands at so many token counts of one model was not measured at each of them."""


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield the GEMM and the MoE table of one accelerator; ``root`` holds the two CSV files."""
    folder = folder_of(root, "aiter", SOURCE)
    name = DEVICES[accelerator]
    gemm = read_csv(folder / "gemm_tuned.csv", "device", "kind", "dtype", "M", "N", "K", "us")
    gemm = gemm[gemm["device"] == name]
    if len(gemm):
        yield _gemm(gemm)
    shape = ("token", "model_dim", "inter_dim", "expert", "topk")
    moe = read_csv(folder / "fmoe_tuned.csv", "device", "q_dtype_a", "q_dtype_w", "us", *shape)
    moe = moe[moe["device"] == name]
    if len(moe):
        yield _moe(moe)


def _gemm(raw: pd.DataFrame) -> pd.DataFrame:
    formats = raw["kind"].map(_GEMM)
    a8w8 = raw["kind"] == "a8w8"
    integer = raw["dtype"].astype(str).str.contains("int8")
    formats = formats.mask(a8w8 & integer, "int8").mask(a8w8 & ~integer, "fp8_e4m3")
    raw, formats = raw[formats.notna()], formats[formats.notna()]
    columns = {name.lower(): raw[name].to_numpy() for name in ("M", "N", "K")}
    common = {**_common(raw, formats.to_numpy()), "framework": _frameworks(raw)}
    return make_table("gemm", {**common, **columns})


def _frameworks(raw: pd.DataFrame) -> Any:
    """Return ``rocm shuffled`` for kernels that take weights in the order of their tiles."""
    if "upstream_file" not in raw:
        return "rocm"
    shuffled = raw["upstream_file"].astype(str).str.contains("preshuffle")
    return shuffled.map({True: "rocm shuffled", False: "rocm"}).to_numpy()


def _moe(raw: pd.DataFrame) -> pd.DataFrame:
    shape = ["model_dim", "inter_dim", "expert", "topk", "q_dtype_a", "q_dtype_w"]
    copies = raw.groupby([*shape, "us"])["token"].transform("nunique")
    raw = raw[copies < _COPIED]
    pairs = zip(raw["q_dtype_a"].map(_short), raw["q_dtype_w"].map(_short), strict=True)
    formats = [_MOE.get(pair, "") for pair in pairs]
    known = [bool(name) for name in formats]
    raw = raw[known]
    columns = {
        "tokens": raw["token"].to_numpy(),
        "hidden": raw["model_dim"].to_numpy(),
        "inter": raw["inter_dim"].to_numpy(),
        "top_k": raw["topk"].to_numpy(),
        "experts": raw["expert"].to_numpy(),
        "moe_tp": 1,
        "moe_ep": 1,
    }
    common = _common(raw, [name for name in formats if name])
    return make_table("grouped_gemm", {**common, **columns})


def _short(dtype: Any) -> str:
    text = str(dtype)
    for part, name in (
        ("float8", "fp8"),
        ("float4", "fp4"),
        ("int4", "int4"),
        ("bfloat16", "bf16"),
    ):
        if part in text:
            return name
    return text


def _common(raw: pd.DataFrame, formats: Any) -> dict[str, Any]:
    return {
        "format": formats,
        "time_s": raw["us"].to_numpy(float) * 1e-6,
        "source": "aiter",
        "framework": "rocm",
    }
