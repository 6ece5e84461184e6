"""What stands in a calibration file, field by field, and what of it is impossible."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from hetsim.costs._calibration import Grade
from hetsim.spec import spec

__all__ = [
    "SCALED",
    "SIZES",
    "CalibrationFile",
    "CollectiveEntry",
    "FamilyEntry",
    "FamilyTable",
    "OperatorEntry",
    "ShapedEntry",
    "TableEntry",
]


@spec
class ShapedEntry:
    """The same kernels in the fuller form, whose work depends on shape (see ``Parameters``)."""

    t0_us: float
    e_c: float
    e_m: float
    p: float
    s0_tokens: float = 0.0
    m0: float = 0.0
    n0: float = 0.0
    k0: float = 0.0
    walk_ps: float = 0.0
    feed: float = 0.0
    wave: float = 0.0
    blocks: float = 0.0
    row_ns: float = 0.0
    token_ps: float = 0.0
    tile_rows: float = 0.0
    tile_half: float = 0.0
    tile_walk_ps: float = 0.0
    pass_ps: float = 0.0
    q0: float = 0.0
    fill_p: float = 1.0
    kv0: float = 0.0
    head_tile: float = 0.0
    walk_p: float = 1.0
    head_64: float = 1.0
    head_256: float = 1.0
    lone_head: float = 1.0
    per_kv_head_ns: float = 0.0
    per_head_ns: float = 0.0
    rse: float
    points: int | None = None
    median_error_ratio: float | None = None
    p90_error_ratio: float | None = None
    errors: Mapping[str, float] | None = None
    """Relative standard errors of parameters, and correlations as ``first/second``."""

    def __post_init__(self) -> None:
        _check_roofline(self.e_c, self.e_m, self.p)
        _check_errors(self.errors)
        sizes = [getattr(self, name) for name in ("t0_us", "rse", *SIZES, *SCALED)]
        if min(sizes) < 0.0 or min(self.head_64, self.head_256, self.lone_head) <= 0.0:
            raise ValueError("no term may be negative, and head factors must be above 0")
        if not (1.0 <= self.fill_p <= 8.0 and 1.0 <= self.walk_p <= 8.0):
            raise ValueError("fill_p and walk_p must lie in [1, 8]")
        if self.wave > 1.0:
            raise ValueError(f"wave is {self.wave:g}; a part of the last wave lies in [0, 1]")


SIZES = (
    *("s0_tokens", "m0", "n0", "k0", "q0", "feed", "wave", "blocks", "kv0", "head_tile"),
    *("tile_rows", "tile_half"),
)
SCALED = {
    "walk_ps": ("walk_s", 1e-12),
    "token_ps": ("token_s", 1e-12),
    "tile_walk_ps": ("tile_walk_s", 1e-12),
    "pass_ps": ("pass_s", 1e-12),
    "row_ns": ("row_s", 1e-9),
    "per_kv_head_ns": ("per_kv_head_s", 1e-9),
    "per_head_ns": ("per_head_s", 1e-9),
}


def _check_roofline(e_c: float | None, e_m: float | None, p: float | None) -> None:
    for name, value in (("e_c", e_c), ("e_m", e_m)):
        if value is not None and not 0.0 < value <= 1.0:
            raise ValueError(f"{name} is {value:g}; a fraction of nominal lies in (0, 1]")
    if p is not None and not 1.0 <= p <= 8.0:
        raise ValueError(f"p is {p:g}; the smooth maximum takes 1 to 8")


def _check_errors(errors: Mapping[str, float] | None) -> None:
    for name, value in (errors or {}).items():
        if "/" in name and not -1.0 <= value <= 1.0:
            raise ValueError(f"errors: {name} is {value:g}; a correlation lies in [-1, 1]")
        if "/" not in name and value < 0.0:
            raise ValueError(f"errors: {name} is {value:g}; a standard error is at least 0")


@spec
class TableEntry:
    """Projections at measured numbers of rows: ``t = t0 + n k ps_per_weight(m)``."""

    m: tuple[float, ...]
    ps_per_weight: tuple[float, ...]
    errors: tuple[float, ...] = ()
    """Relative standard errors, by row."""

    def __post_init__(self) -> None:
        rows, each = self.m, self.ps_per_weight
        if len(rows) < 2 or len(each) != len(rows):
            raise ValueError("table: m and ps_per_weight must be of one length, 2 or more")
        if min(*rows, *each) <= 0.0 or any(a >= b for a, b in pairwise(rows)):
            raise ValueError("table: m must rise, and all values be above 0")
        if any(a > b for a, b in pairwise(each)):
            raise ValueError("table: ps_per_weight must not fall: more rows are never faster")


@spec
class OperatorEntry:
    """One line of a calibration file. Absent efficiencies come from the next layer of evidence."""

    t0_us: float = 0.0
    e_c: float | None = None
    e_m: float | None = None
    p: float | None = None
    s0_tokens: float | None = None
    grade: Grade
    rse: float
    points: int | None = None
    median_error_ratio: float | None = None
    p90_error_ratio: float | None = None
    valid: str = ""
    source: str = ""
    note: str = ""
    errors: Mapping[str, float] | None = None
    shaped: ShapedEntry | None = None
    table: TableEntry | None = None
    measured: tuple[float, float] | None = None
    """Smallest and largest m, new tokens or context that was measured."""

    def __post_init__(self) -> None:
        _check_roofline(self.e_c, self.e_m, self.p)
        _check_errors(self.errors)
        if self.t0_us < 0.0 or self.rse < 0.0 or (self.s0_tokens or 0.0) < 0.0:
            raise ValueError("t0_us, rse and s0_tokens must be at least 0")


@spec
class CollectiveEntry:
    """One kernel of a collective over a fixed number of devices."""

    t0_us: float
    bytes_per_s: float
    grade: Grade
    rse: float
    points: int | None = None
    median_error_ratio: float | None = None
    p90_error_ratio: float | None = None
    valid: str = ""
    source: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if self.t0_us < 0.0 or self.rse < 0.0 or self.bytes_per_s <= 0.0:
            raise ValueError("t0_us and rse must be at least 0, bytes_per_s above 0")


@spec
class CalibrationFile:
    """A file ``calibration/<accelerator>/<date>.yaml``."""

    schema: int
    accelerator: str
    date: str
    provider: str = ""
    source: str
    operators: Mapping[str, Mapping[str, OperatorEntry]]
    collectives: Mapping[str, Mapping[str, tuple[CollectiveEntry, ...]]]
    host: Mapping[str, float]
    covariance: Mapping[str, Mapping[str, float]] | None = None

    def __post_init__(self) -> None:
        if self.schema != 1:
            raise ValueError(f"schema {self.schema} is not known; this version reads schema 1")


@spec
class FamilyEntry:
    """A device or an architecture family of the built-in table."""

    family: str = ""
    source: str
    like: str = ""
    """Another entry whose values stand where this one has none."""
    operators: Mapping[str, Mapping[str, OperatorEntry]]
    collectives: Mapping[str, Mapping[str, tuple[CollectiveEntry, ...]]]


@spec
class FamilyTable:
    """``calibration/families.yaml``: what is built in until a device has its own file."""

    schema: int
    devices: Mapping[str, FamilyEntry]
    lenders: Mapping[str, tuple[str, ...]]
    """By device, else by family: who lends fractions to a relative without its own, best first."""
    datasheet: Mapping[str, FamilyEntry]
    """By family: efficiencies to multiply datasheet values with; ``default`` for all others."""
    transferred_rse: Mapping[str, float] | None = None
    """By kind: by how much a relative's kernels are off, found by leaving devices out."""
