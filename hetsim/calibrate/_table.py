"""The common table that adapters yield, the work of its rows, and what is cleaned away and why.

One row is one measured kernel: ``kind, format``, the shape columns of its kind, ``time_s, flops,
bytes, source, framework``. One frame holds one kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._formats import KernelFormat, kernel_format
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._repeats import from_memory, mark_outrun, resident_share, working_set
from hetsim.errors import Problem, ScenarioError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SHAPES", "Dropped", "add_work", "clean", "make_table"]

Dropped = dict[str, int]
"""How many rows were left out, by reason."""

SHAPES: dict[str, tuple[str, ...]] = {
    "gemm": ("m", "n", "k"),
    "grouped_gemm": ("tokens", "hidden", "inter", "top_k", "experts", "moe_tp", "moe_ep"),
    "attention_prefill": ("batch", "new", "past", "heads", "kv_heads", "head_dim"),
    "attention_prefill_mla": ("batch", "new", "past", "heads"),
    "attention_decode": ("batch", "context", "heads", "kv_heads", "head_dim"),
    "attention_decode_mla": ("batch", "context", "heads"),
    "elementwise": ("rows", "columns", "passes"),
    "all_reduce": ("ranks", "message_bytes"),
    "all_gather": ("ranks", "message_bytes"),
    "reduce_scatter": ("ranks", "message_bytes"),
    "all_to_all": ("ranks", "message_bytes"),
    "moe_dispatch": ("ranks", "message_bytes"),
    "moe_combine": ("ranks", "message_bytes"),
    "prefill_step": ("model", "moe_tp", "batch", "new"),
    "decode_step": ("model", "moe_tp", "batch", "context"),
}
"""Shape columns by kind. ``moe_dispatch`` and ``moe_combine`` move token copies between experts:
their message is what one device sends, ``tokens k hidden`` elements. The two ``_step`` kinds are
whole model steps, for comparison only."""

_COMMON = ("kind", "format", "time_s", "source", "framework")

MLA_LATENT, MLA_ROPE, MLA_NOPE, MLA_VALUE = 512, 64, 128, 128
"""Head sizes of multi-head latent attention in all measured tables.

Source: DeepSeek-V3 technical report, section 4.2, 2024.
"""


def make_table(kind: str, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table of one kind from its columns; scalars are repeated.

    Raises
    ------
    ScenarioError
        If a column that the kind needs is missing, or the kind is unknown.
    """
    import pandas as pd

    if kind not in SHAPES:
        raise ScenarioError(Problem(f"no kernel kind {kind!r}; allowed: {', '.join(SHAPES)}"))
    wanted = (*_COMMON, *SHAPES[kind])
    given = {"kind": kind, **columns}
    missing = [name for name in wanted if name not in given]
    if missing:
        source = str(columns.get("source", "table"))
        raise ScenarioError(
            [Problem(f"column {name!r} is missing", kind, source) for name in missing]
        )
    length = max((len(v) for v in given.values() if hasattr(v, "shape")), default=1)
    frame = pd.DataFrame({name: given[name] for name in wanted}, index=range(length))
    return add_work(frame)


def add_work(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with ``flops`` and ``bytes``: the least that the operator must do."""
    import pandas as pd

    parts = []
    for (kind, fmt), part in frame.groupby(["kind", "format"], sort=True):
        count = _WORK.get(str(kind))
        flops, moved = count(part, kernel_format(str(fmt))) if count else (0.0, 0.0)
        parts.append(part.assign(flops=flops, bytes=moved))
    empty = frame.assign(flops=0.0, bytes=0.0)
    return pd.concat(parts, ignore_index=True) if parts else empty


def _gemm(t: pd.DataFrame, f: KernelFormat) -> tuple[Any, Any]:
    m, n, k = (t[c].astype(float) for c in ("m", "n", "k"))
    return 2.0 * m * n * k, n * k * f.weight_bytes + m * k * f.activation_bytes + 2.0 * m * n


def routed(t: pd.DataFrame) -> dict[str, Any]:
    """Return rows per rank, distinct experts here and expert width of a balanced MoE table.

    Balanced means that token copies are dealt out evenly: ``min(E / EP, T k / EP)`` experts work.
    """
    import numpy as np

    rows = t["tokens"].astype(float) * t["top_k"] / t["moe_ep"]
    local = t["experts"].astype(float) / t["moe_ep"]
    distinct = np.minimum(local, np.maximum(rows, 1.0))
    return {"rows": rows, "distinct": distinct, "width": t["inter"].astype(float) / t["moe_tp"]}


def _grouped(t: pd.DataFrame, f: KernelFormat) -> tuple[Any, Any]:
    made = routed(t)
    rows, width, hidden = made["rows"], made["width"], t["hidden"].astype(float)
    weights = made["distinct"] * 3.0 * hidden * width * f.weight_bytes
    # Tokens in and out in 16 bit; each copy reads and writes both projections' rows.
    tokens = t["tokens"] * hidden * 4.0 + rows * (2.0 * hidden + 3.0 * width) * f.activation_bytes
    return 6.0 * rows * hidden * width, weights + tokens


def _context(t: pd.DataFrame) -> Any:
    new = t["new"].astype(float)
    return t["batch"] * new * (t["past"] + 0.5 * (new + 1.0))


def _prefill(t: pd.DataFrame, f: KernelFormat) -> tuple[Any, Any]:
    d = t["head_dim"].astype(float)
    flops = 4.0 * _context(t) * t["heads"] * d
    query = t["batch"] * t["new"] * t["heads"] * d * 2.0 * 2.0
    stored = t["batch"] * (t["new"] + t["past"]) * t["kv_heads"] * d * 2.0 * f.weight_bytes
    return flops, query + stored


def _prefill_mla(t: pd.DataFrame, f: KernelFormat) -> tuple[Any, Any]:
    both = float(MLA_NOPE + MLA_ROPE + MLA_VALUE)
    flops = 2.0 * _context(t) * t["heads"] * both
    tokens = t["batch"] * (2.0 * t["new"] + t["past"])
    return flops, tokens * t["heads"] * both * 2.0


def _decode(t: pd.DataFrame, f: KernelFormat) -> tuple[Any, Any]:
    read = t["batch"].astype(float) * t["context"] * t["head_dim"]
    return 4.0 * read * t["heads"], 2.0 * read * t["kv_heads"] * f.weight_bytes


def _decode_mla(t: pd.DataFrame, f: KernelFormat) -> tuple[Any, Any]:
    read = t["batch"].astype(float) * t["context"]
    flops = 2.0 * read * t["heads"] * (2 * MLA_LATENT + MLA_ROPE)
    return flops, read * (MLA_LATENT + MLA_ROPE) * f.weight_bytes


def _elementwise(t: pd.DataFrame, f: KernelFormat) -> tuple[Any, Any]:
    return 0.0, t["rows"].astype(float) * t["columns"] * t["passes"]


_WORK: dict[str, Callable[[Any, KernelFormat], tuple[Any, Any]]] = {
    "gemm": _gemm,
    "grouped_gemm": _grouped,
    "attention_prefill": _prefill,
    "attention_prefill_mla": _prefill_mla,
    "attention_decode": _decode,
    "attention_decode_mla": _decode_mla,
    "elementwise": _elementwise,
}


def clean(frame: pd.DataFrame, nominal: Nominal) -> tuple[pd.DataFrame, Dropped]:
    """Return the believable rows, the fastest per shape, and how many were dropped by reason.

    ``not a number``, ``not positive``: times or shapes. ``unit``: a whole source and format whose
    rows are mostly faster than the hardware, or all more than 3 000 times slower: its unit is
    wrong. ``beyond peak`` and ``beyond bandwidth``: single rows faster than the nominal device
    (operands that fit in the cache may beat the memory). ``slower framework``: not wrong, but
    another framework or version runs the same shape faster. Of projections also ``from the
    cache``: where memory bounds the shape, and another framework measured it from memory. Of decode
    attention also ``bytes not read``: a whole source and format that often outruns the memory
    where nothing fits in the cache, so that its KV is narrower than it says.
    """
    import numpy as np

    dropped: Dropped = {}
    shape = list(SHAPES[str(frame["kind"].iloc[0])]) if len(frame) else []
    numbers = [name for name in ("time_s", *shape) if name != "model"]
    frame = _take(frame, frame[numbers].apply(np.isfinite).all(axis=1), "not a number", dropped)
    positive = frame[[name for name in numbers if name != "past"]].gt(0.0).all(axis=1)
    frame = _take(frame, positive, "not positive", dropped)
    if frame.empty:
        return frame, dropped
    peak = frame["format"].map(
        {f: nominal.peak(kernel_format(f).roof) for f in set(frame["format"])}
    )
    compute = frame["flops"] / peak
    memory = frame["bytes"] / nominal.bandwidth_bytes_per_s
    cold = frame["bytes"] > nominal.cache_bytes
    fast = (frame["time_s"] < compute) | (cold & (frame["time_s"] < memory))
    ratio: Any = frame["time_s"] / np.maximum(np.maximum(compute, memory), 1e-12)
    group = [frame["source"], frame["format"]]
    wrong = (fast.groupby(group).transform("mean") > 0.5) | (
        (ratio.groupby(group).transform("min") > 3e3) & (frame["bytes"] + frame["flops"] > 0.0)
    )
    unread = ~wrong & _unread(frame, memory, nominal)
    keep = ~wrong & ~unread
    dropped_now = (
        ("unit", wrong),
        ("bytes not read", unread),
        ("beyond peak", keep & (frame["time_s"] < compute)),
    )
    slow = keep & ~(frame["time_s"] < compute) & cold & (frame["time_s"] < memory)
    for reason, mask in (*dropped_now, ("beyond bandwidth", slow)):
        if mask.any():
            dropped[reason] = int(mask.sum())
    frame = frame[keep & ~fast]
    if len(frame) and frame["kind"].iloc[0] == "gemm":
        cold = resident_share(working_set(frame, nominal), nominal)
        frame = frame.assign(cold=cold, outrun=mark_outrun(frame))
        frame = _take(frame, from_memory(frame, nominal), "from the cache", dropped)
    if len(frame) and frame["kind"].iloc[0] == "grouped_gemm":
        frame = frame.assign(outrun=mark_outrun(frame, shape, by="source"))
    return _fastest(frame, shape, dropped)


def _unread(frame: pd.DataFrame, memory: Any, nominal: Nominal) -> Any:
    """Whether a row is of a source that outruns the memory far beyond the cache, too often."""
    import pandas as pd

    beyond = frame["bytes"] > _FAR_BEYOND * nominal.cache_bytes
    if frame["kind"].iloc[0] not in _READ_ONCE or not nominal.cache_bytes:
        return pd.Series(False, index=frame.index)
    outrun = (frame["time_s"] < memory).astype(float).where(beyond)
    share = outrun.groupby([frame["source"], frame["format"]]).transform("mean")
    return share.fillna(0.0) > _OUTRUN


_READ_ONCE = ("attention_decode", "attention_decode_mla")
"""Kinds that read nearly all their bytes once, so that their bandwidth can be told."""
_FAR_BEYOND, _OUTRUN = 2.0, 0.2
"""Cache sizes from which nothing stays in the cache, and the part of rows that may still outrun
the nominal memory (clocks, single bad rows): 0 to 5 % in sources that read what they say, 27 % in
one whose bandwidth is 1.6 times the nominal."""


def _take(frame: pd.DataFrame, keep: Any, reason: str, dropped: Dropped) -> pd.DataFrame:
    lost = int(len(frame) - keep.sum())
    if lost:
        dropped[reason] = dropped.get(reason, 0) + lost
    kept: pd.DataFrame = frame[keep]
    return kept


def _fastest(
    frame: pd.DataFrame, shape: list[str], dropped: Dropped
) -> tuple[pd.DataFrame, Dropped]:
    """Keep the fastest row per shape; ``frameworks`` says how many measured it."""
    key = ["format", *shape]
    counts = frame.groupby(key)["framework"].transform("nunique")
    frame = frame.assign(frameworks=counts).sort_values([*key, "time_s", "framework"])
    best = frame.drop_duplicates(key, keep="first")
    lost = len(frame) - len(best)
    if lost:
        dropped["slower framework"] = lost
    return best.reset_index(drop=True), dropped
