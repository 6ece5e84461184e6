"""``Result``: the tables of a run, its summary, and how it was made."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.metrics import TABLES
from hetsim.run._plots import ResultPlots
from hetsim.scenario import without_profiles
from hetsim.spec import html_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Result", "headline", "load_result", "plain"]


def plain(value: Any) -> Any:
    """Return ``value`` as JSON can hold it: NaN and infinity become None.

    >>> plain({"a": float("nan"), "b": (1, 2.5)})
    {'a': None, 'b': [1, 2.5]}
    """
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


class Result:
    """What a run leaves. Tables are pandas DataFrames, read when first asked for.

    ``requests``, ``steps``, ``transfers``, ``ownership``, ``occupancy`` and ``gaps`` have the
    columns of :mod:`hetsim.metrics`; ``summary`` is plain data, the same as ``summary.json``.
    """

    def __init__(
        self,
        summary: dict[str, Any],
        manifest: dict[str, Any],
        tables: Any,
        scenario_yaml: str = "",
        folder: Path | None = None,
    ) -> None:
        self.summary = summary
        self.manifest = manifest
        self.scenario_yaml = scenario_yaml
        self.folder = folder
        self._tables = tables
        self._frames: dict[str, pd.DataFrame] = {}

    def table(self, name: str) -> pd.DataFrame:
        """Return a table by name.

        Raises
        ------
        KeyError
            If there is no such table.
        """
        if name not in TABLES:
            raise KeyError(f"no table {name!r}; there are {', '.join(TABLES)}")
        if name not in self._frames:
            self._frames[name] = self._tables(name).to_pandas()
        return self._frames[name]

    @property
    def requests(self) -> pd.DataFrame:
        """One row per request."""
        return self.table("requests")

    @property
    def steps(self) -> pd.DataFrame:
        """One row per segment of equal steps."""
        return self.table("steps")

    @property
    def transfers(self) -> pd.DataFrame:
        """One row per movement of KV."""
        return self.table("transfers")

    @property
    def ownership(self) -> pd.DataFrame:
        """One row per change of who holds KV."""
        return self.table("ownership")

    @property
    def occupancy(self) -> pd.DataFrame:
        """One row per end of a row of ``steps``, and one per instance at the end of the run."""
        return self.table("occupancy")

    @property
    def plot(self) -> ResultPlots:
        """Figures: ``result.plot.latency()``, ``.utilisation()``, ``.critical_path()``, ..."""
        return ResultPlots(self)

    def move_to(self, folder: Path) -> None:
        """Read tables from ``folder`` from now on (a run directory has got its name)."""
        self.folder = folder
        self._tables = _reader(folder)

    def to_json(self) -> str:
        """Return the summary as one JSON object."""
        return json.dumps(plain(self.summary), indent=2, ensure_ascii=False)

    def __repr__(self) -> str:
        counts = self.summary["requests"]
        return (
            f"Result({self.summary['name']}: {counts['finished']}/{counts['arrived']} finished, "
            f"attainment {self.summary['slo_attainment']:.3f})"
        )

    def _repr_html_(self) -> str:
        return html_table(str(self.summary["name"]), headline(self.summary))


def headline(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the figures that a reader wants first, as text with units."""
    from hetsim.units import format_seconds

    counts = summary["requests"]
    cost, energy = summary["cost_usd_per_mtok"], summary["energy_j_per_tok"]
    return [
        ("requests", f"{counts['finished']} of {counts['arrived']} finished"),
        ("SLO attainment", f"{summary['slo_attainment']:.1%}"),
        ("goodput", f"{summary['goodput_req_s']:.3g} req/s"),
        ("TTFT p50 / p99", _pair(summary["ttft_s"], format_seconds)),
        ("TPOT p50 / p99", _pair(summary["tpot_s"], format_seconds)),
        ("output", f"{summary['throughput']['output_tok_s']:.4g} tok/s"),
        ("cost", f"{cost:.3g} USD/Mtok" if cost is not None else "no price known"),
        ("energy", f"{energy:.3g} J/tok" if energy is not None else "no power figures known"),
        ("bottleneck", str(summary["bottleneck"])),
        ("calibration", str(summary["calibration_grade"])),
    ]


def _pair(values: Mapping[str, float], text: Any) -> str:
    return f"{text(values['p50'])} / {text(values['p99'])}"


def _reader(folder: Path) -> Any:
    def read(name: str) -> Any:
        import pyarrow.parquet as pq

        return pq.read_table(folder / f"{name}.parquet")

    return read


def load_result(folder: str | Path) -> Result:
    """Return the result that lies in a run directory.

    Raises
    ------
    ScenarioError
        If the folder is not a whole run directory.
    """
    from hetsim.errors import Problem, ScenarioError

    base = Path(folder)
    missing = [n for n in ("summary.json", "manifest.json") if not (base / n).is_file()]
    if missing:
        raise ScenarioError(
            Problem(f"is not a run directory: {', '.join(missing)} missing", "", str(base))
        )

    return Result(
        json.loads((base / "summary.json").read_text()),
        json.loads((base / "manifest.json").read_text()),
        _reader(base),
        without_profiles((base / "scenario.resolved.yaml").read_text(encoding="utf-8")),
        base,
    )
