"""The equation of a link, its fit, and its file.

``t = t0 + pieces t_piece + bytes / rate``, and beyond a knee (what fits a cache) at a lower rate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._write import flow, plain_text, publish
from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LinkFit", "fit_links", "link_seconds", "links_text"]

NEEDED = ("kind", "op", "bytes", "pieces", "round", "time_s", "outlier", "round_moved")
LEAST_POINTS = 5
FOLDS = 4
_LOW, _HIGH = (1e-8, 1e-9, 1e-12, 1e-12), (10.0, 0.1, 1e-5, 1e-5)
"""Bounds of the parameters; no link moves a byte in less than a picosecond."""
_KNEES = (1 << 18, 1 << 20, 1 << 22, 1 << 24)
_BETTER = 0.01


@spec
class LinkFit:
    """One direction of one kind of link."""

    kind: str
    op: str
    t0_s: float
    s_per_piece: float
    s_per_byte: float
    knee_bytes: float
    """Size beyond which bytes move slower; 0 without a knee."""
    s_per_byte_beyond: float
    connect_s: float
    standard_error: Mapping[str, float]
    """Relative, by name of the parameter."""
    covariance: Mapping[str, float]
    """Of the logarithms of the parameters, by ``first/second``."""
    points: int
    median_error_ratio: float
    """On held-back sizes and counts."""
    p90_error_ratio: float
    dropped: Mapping[str, int]
    largest_bytes: float

    def seconds(self, size: float, pieces: float = 1.0) -> float:
        """Return the time of a transfer on an open connection."""
        values = (self.t0_s, self.s_per_piece, self.s_per_byte, self.s_per_byte_beyond)
        return float(link_seconds(values, self.knee_bytes, size, pieces))


def link_seconds(values: Sequence[float], knee: float, size: Any, pieces: Any) -> Any:
    """Return ``t0 + pieces t_piece + bytes s (+ what lies beyond the knee at its own rate)``.

    >>> float(link_seconds((1.0, 0.5, 2.0, 3.0), 10.0, 12.0, 4.0))
    29.0
    """
    import numpy as np

    t0, piece, byte, beyond = values
    time_s = t0 + pieces * piece + size * byte
    if knee > 0.0:
        time_s = time_s + np.maximum(0.0, np.asarray(size) - knee) * (max(beyond, byte) - byte)
    return time_s


def fit_links(
    paths: Sequence[Path], *, out: Path | None = None, date: str | None = None
) -> tuple[LinkFit, ...]:
    """Fit the samples of links; with ``out`` write ``<out>/links/<date>.yaml`` as well.

    Beside it ``engine-<kind>.yaml``, a transfer engine for scenarios, of every kind that can hand
    KV over; it is of the cold operation, since a hand-off is one.

    Raises
    ------
    ScenarioError
        If a file is missing or malformed, or nothing usable is left.
    """
    import pandas as pd

    frames, connect, day, told = [], {}, date or "", list[str]()
    for path in (file for given in paths for file in _files(Path(given))):
        frames.append(_read(path))
        manifest = path.with_suffix(".json")
        if manifest.is_file():
            said = json.loads(manifest.read_text(encoding="utf-8"))
            connect.update(said.get("connect_s", {}))
            day = date or max(day, said.get("date", ""))
            told.append(_provenance(said))
    table = pd.concat(frames, ignore_index=True)
    fits = []
    for (kind, op), part in table.groupby(["kind", "op"], sort=True):
        made = _fit(str(kind), str(op), part, connect.get(str(kind), 0.0))
        if made is not None:
            fits.append(made)
    if not fits:
        raise ScenarioError(Problem("no usable samples of links", file=str(paths[0])))
    if out is not None:
        publish(out / "links" / f"{day or 'undated'}.yaml", links_text(fits, day, told))
        _publish_engines(out, fits, day)
    return tuple(fits)


def _provenance(said: Mapping[str, Any]) -> str:
    """Return where samples are from, as their manifest says it.

    >>> _provenance({"cpu": "A CPU", "sentinel_ratios": {"0": 1.0, "1": 1.2}, "moved_rounds": [1]})
    'A CPU, 2 rounds of which 1 moved'
    """
    rounds, moved = len(said.get("sentinel_ratios", {})), len(said.get("moved_rounds", []))
    return f"{said.get('cpu', 'a CPU')}, {rounds} rounds of which {moved} moved"


def _publish_engines(out: Path, fits: Sequence[LinkFit], day: str) -> None:
    from hetsim.calibrate.links._engine import carriers, engine_text

    for kind, fit in carriers(fits).items():
        publish(out / "links" / f"engine-{kind}.yaml", engine_text(fit, day))


def _files(path: Path) -> list[Path]:
    found = sorted(path.glob("links-*.parquet")) if path.is_dir() else [path]
    if not found or not all(file.is_file() for file in found):
        raise ScenarioError(Problem("holds no samples of links", file=str(path)))
    return found


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError):
        raise ScenarioError(Problem("is no table of samples", file=str(path))) from None
    missing = [name for name in NEEDED if name not in frame]
    if missing:
        raise ScenarioError([Problem(f"column {n!r} is missing", file=str(path)) for n in missing])
    return frame


def _clean(part: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    import numpy as np

    dropped: dict[str, int] = {}
    # Where every round moved, they are all there is; the manifest says so.
    moved = part["round_moved"].astype(bool) & (not part["round_moved"].all())
    for reason, wrong in (
        ("not a number", ~np.isfinite(part["time_s"])),
        ("not positive", part["time_s"] <= 0.0),
        ("round moved", moved),
        ("outlier", part["outlier"].astype(bool)),
    ):
        lost = wrong.reindex(part.index, fill_value=False)
        if lost.any():
            dropped[reason] = int(lost.sum())
            part = part[~lost]
    rounds = part.groupby(["bytes", "pieces", "round"])["time_s"].median()
    return rounds.groupby(["bytes", "pieces"]).median().reset_index(), dropped


def _fit(kind: str, op: str, part: pd.DataFrame, connect_s: float) -> LinkFit | None:
    import numpy as np

    rows, dropped = _clean(part)
    if len(rows) < LEAST_POINTS:
        return None
    size, pieces, time_s = (rows[c].to_numpy(float) for c in ("bytes", "pieces", "time_s"))
    knee, miss = 0.0, _held_back(size, pieces, time_s, 0.0)
    for candidate in _KNEES:
        if 2 <= int((size > candidate).sum()) <= len(size) - 3:
            other = _held_back(size, pieces, time_s, float(candidate))
            if np.median(other) < np.median(miss) - _BETTER:
                knee, miss = float(candidate), other
    values, covariance = _solve(size, pieces, time_s, knee)
    names = ("t0_s", "s_per_piece", "s_per_byte", "s_per_byte_beyond")
    # A parameter at its lower bound, or with an error of its whole size, is not determined.
    free = [i for i in range(4) if 0.0 < covariance[i][i] < 1.0 and values[i] > 1.01 * _LOW[i]]
    values[:2] = [v if v > 1.01 * low else 0.0 for v, low in zip(values[:2], _LOW[:2], strict=True)]
    return LinkFit(
        kind=kind,
        op=op,
        t0_s=values[0],
        s_per_piece=values[1],
        s_per_byte=values[2],
        knee_bytes=knee,
        s_per_byte_beyond=max(values[2], values[3]) if knee else values[2],
        connect_s=connect_s,
        standard_error={names[i]: float(covariance[i][i]) ** 0.5 for i in free},
        covariance={
            f"{names[i]}/{names[j]}": float(covariance[i][j]) for i in free for j in free if i < j
        },
        points=len(rows),
        median_error_ratio=float(np.median(miss)),
        p90_error_ratio=float(np.quantile(miss, 0.9)),
        dropped=dropped,
        largest_bytes=float(size.max()),
    )


def _held_back(size: Any, pieces: Any, time_s: Any, knee: float) -> Any:
    """Return the relative error of every point, predicted without it and its fold."""
    import numpy as np

    fold = np.arange(len(size)) % FOLDS
    miss = np.zeros(len(size))
    for number in range(FOLDS):
        test = fold == number
        values, _ = _solve(size[~test], pieces[~test], time_s[~test], knee)
        miss[test] = np.abs(link_seconds(values, knee, size[test], pieces[test]) / time_s[test] - 1)
    return miss


def _solve(size: Any, pieces: Any, time_s: Any, knee: float) -> tuple[list[float], Any]:
    """Return the parameters, and the covariance of their logarithms (zero where not searched)."""
    import numpy as np
    from scipy.optimize import least_squares

    low, high = np.log(_LOW), np.log(_HIGH)
    slope = float(np.median(time_s[size > np.median(size)] / size[size > np.median(size)]))
    start = np.log([max(float(time_s.min()), 2e-8), 1e-6, slope, slope])
    searched = [0, 2]
    searched += [1] if len(np.unique(pieces)) > 1 else []
    searched += [3] if knee else []
    searched.sort()

    def whole(x: Any) -> list[float]:
        full = np.where([i == 1 for i in range(4)], -np.inf, start)
        full[searched] = x
        return [float(v) for v in np.exp(full)]

    def residual(x: Any) -> Any:
        return np.log(link_seconds(whole(x), knee, size, pieces) / time_s)

    found = least_squares(
        residual,
        np.clip(start[searched], low[searched] + 1e-6, high[searched] - 1e-6),
        bounds=(low[searched], high[searched]),
        loss="soft_l1",
        f_scale=0.1,
    )
    rest = residual(found.x)
    freedom = max(1, len(size) - len(searched))
    small = np.linalg.pinv(found.jac.T @ found.jac) * float(rest @ rest) / freedom
    covariance = np.zeros((4, 4))
    covariance[np.ix_(searched, searched)] = small
    return whole(found.x), covariance


def links_text(fits: Sequence[LinkFit], date: str, told: Sequence[str] = ()) -> str:
    """Return the YAML text of ``calibration/<device>/links/<date>.yaml``."""
    source = "; ".join(["hetsim calibrate links", *dict.fromkeys(told)])
    lines = [
        "# Links measured on this machine: t = t0 + pieces t_piece + bytes / bytes_per_s; beyond",
        "# knee_bytes the further bytes move at bytes_per_s_beyond. connect: once per connection.",
        "# *_cold: bytes in no cache, receiver asleep before, as in a hand-off: for predictions;",
        "# the others repeat themselves on one buffer, and bound it from below.",
        "# errors: relative standard errors, covariances of logarithms; *_error_ratio: held back.",
        "schema: 1",
        f'date: "{date}"',
        f'source: "{plain_text(source)}"',
        "links:",
    ]
    for kind in dict.fromkeys(fit.kind for fit in fits):
        lines.append(f"  {kind}:")
        for fit in fits:
            if fit.kind == kind:
                lines.append(f"    {fit.op}: {{{_entry(fit)}}}")
    return "\n".join(lines) + "\n"


def _entry(fit: LinkFit) -> str:
    main = {
        "t0_us": fit.t0_s * 1e6,
        "piece_us": fit.s_per_piece * 1e6,
        "bytes_per_s": 1.0 / fit.s_per_byte,
    }
    if fit.knee_bytes:
        main |= {"knee_bytes": fit.knee_bytes, "bytes_per_s_beyond": 1.0 / fit.s_per_byte_beyond}
    main["connect_us"] = fit.connect_s * 1e6
    quality = {
        "median_error_ratio": fit.median_error_ratio,
        "p90_error_ratio": fit.p90_error_ratio,
        "points": fit.points,
    }
    errors = flow({**fit.standard_error, **fit.covariance}, 2)
    return f"{flow(main)}, grade: measured, {flow(quality, 2)},\n      errors: {{{errors}}}"
