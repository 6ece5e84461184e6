"""What a validation found: figures by group, as JSON, as text and as files."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hetsim.errors import Problem, ScenarioError
from hetsim.validate._constants import stated
from hetsim.validate._constants_write import write_constants
from hetsim.validate._crossfit import CrossFit
from hetsim.validate._intervals import Intervals, discrepancy_yaml
from hetsim.validate._page import kind_of_reason, page_with, publish, section_text, tables_text
from hetsim.validate._rank import Ranking, rank_devices, rank_layouts
from hetsim.validate._score import METRICS, Metric, Outcome, pair_of, summary_of

__all__ = ["Report"]

_GROUPS = (
    ("source", "source"),
    ("accelerator", "accelerator"),
    ("model_family", "model_family"),
    ("weight_dtype", "weight_dtype"),
    ("engine", "engine"),
    ("load_type", "load_type"),
    ("scenario", "scenario"),
    ("mode", "mode"),
    ("phase", "phase"),
    ("op", "op"),
    ("grade", "grade"),
)


class Report:
    """Predicted against measured, row by row, and errors by group.

    The overall ``metrics`` are of rows of grade A (of all but C where a table has no A); groups
    count the same rows, except the groups by grade. Doubtful rows are simulated and left out of
    every score. ``fitted`` names the pairs of device and model that the constants were fitted on.
    """

    def __init__(
        self,
        tables: Sequence[str],
        outcomes: Sequence[Outcome],
        fitted: Mapping[str, int] | None = None,
        crossed: CrossFit | None = None,
    ) -> None:
        self.fitted = fitted or {}
        self.crossed = crossed
        self.tables = list(tables)
        self.outcomes = list(outcomes)
        grades = {outcome.row.grade for outcome in outcomes}
        wanted = {"A"} if "A" in grades else grades - {"C"}
        self.scored = [outcome for outcome in outcomes if outcome.row.grade in wanted]
        self.intervals = Intervals(self.scored, crossed=crossed is not None)

    @property
    def simulated(self) -> int:
        """How many rows were simulated to an answer."""
        return sum(outcome.status == "ok" for outcome in self.outcomes)

    def layouts(self) -> Ranking:
        """Return (pairs, Kendall tau) of layouts within a device."""
        return rank_layouts(self.scored)

    def devices(self) -> Ranking:
        """Return (pairs, Kendall tau) of devices at equal layout and load."""
        return rank_devices(self.scored)

    def groups(self) -> list[dict[str, Any]]:
        """Return the errors of every group, the overall one first."""
        made = [self._group("all", "all", self.scored)]
        for title, column in _GROUPS:
            source = self.outcomes if column == "grade" else self.scored
            members: dict[str, list[Outcome]] = {}
            for outcome in source:
                value = outcome.row.grade if column == "grade" else outcome.row.text(column)
                members.setdefault(value, []).append(outcome)
            if set(members) != {""}:
                made += [self._group(title, name, members[name]) for name in sorted(members)]
        calibrated: dict[str, list[Outcome]] = {}
        for outcome in self.scored:
            calibrated.setdefault(outcome.prediction.grade, []).append(outcome)
        for name in sorted(calibrated):
            made.append(self._group("calibration_grade", name, calibrated[name]))
        return made

    def _group(self, by: str, name: str, members: list[Outcome]) -> dict[str, Any]:
        fine = sum(outcome.status == "ok" for outcome in members)
        refused = sum(outcome.status == "does_not_fit" for outcome in members)
        made: dict[str, Any] = {
            "by": by,
            "group": name or "(none)",
            "rows": len(members),
            "simulated": fine,
            "does_not_fit": refused,
            "in_fit": sum(_in_fit(outcome, self.fitted) for outcome in members),
            "coverage": (fine + refused) / len(members) if members else None,
            "metrics": _plain(summary_of(members)),
        }
        made.update(self.intervals.shares(members))
        if by in ("all", "accelerator", "source"):
            pairs, tau = rank_layouts(members)
            made["layout_pairs"], made["layout_tau"] = pairs, tau
        if by == "all":
            pairs, tau = rank_devices(members)
            made["device_pairs"], made["device_tau"] = pairs, tau
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, errors in percent."""
        made = {
            "rows": len(self.outcomes),
            "simulated": self.simulated,
            "failed": [
                {"row_id": outcome.row.row_id, "reason": outcome.reason}
                for outcome in self.outcomes
                if outcome.status != "ok"
            ],
            "metrics": _plain(summary_of(self.scored)),
            "groups": self.groups(),
            "per_row": [_row(outcome) for outcome in self.outcomes],
        }
        if self.crossed is not None:
            made["cross_fit"] = _crossed(self.crossed)
            made["discrepancy"] = self.intervals.plain()
        return made

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON; what is not a number is null."""
        return json.dumps(_finite(self.to_dict()), indent=1, allow_nan=False)

    def to_text(self) -> str:
        """Return the table of groups for people."""
        lines = [
            f"{len(self.outcomes)} rows, {self.simulated} simulated",
            *self._reasons(),
            "",
            f"{'':36s}{'rows':>6s}{'fit':>6s}{'cov %':>7s}" + "".join(f"{m:>24s}" for m in METRICS),
            f"{'':36s}{'':19s}" + f"{'n  med / p90 (bias) %':>24s}" * len(METRICS),
        ]
        last = ""
        for group in self.groups():
            if group["by"] != last:
                last = group["by"]
                lines.append(last)
            lines.append(_line(group))
        for title, (pairs, tau) in (("layouts", self.layouts()), ("devices", self.devices())):
            shown = "-" if tau is None else f"{tau:.2f}"
            lines.append(f"Kendall tau of {title}: {shown} over {pairs} pairs")
        lines += self.intervals.lines()
        return "\n".join(lines)

    def _reasons(self) -> list[str]:
        counts: dict[str, int] = {}
        for outcome in self.outcomes:
            if outcome.status != "ok":
                words = f"{outcome.status}: {kind_of_reason(outcome.reason)}"
                counts[words] = counts.get(words, 0) + 1
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return [f"{count:6d}  {words}" for words, count in ordered]

    def write(self, folder: Path) -> list[Path]:
        """Write ``validation.json``, ``.txt``, ``.md`` and ``rows.csv``; return their paths.

        ``rows.csv`` holds every column of the tables, further ones included, and the predictions.
        """
        folder.mkdir(parents=True, exist_ok=True)
        texts = {
            "validation.json": self.to_json() + "\n",
            "validation.txt": self.to_text() + "\n",
            "validation.md": tables_text(self.to_dict()),
        }
        paths = []
        for name, text in texts.items():
            publish(folder / name, text)
            paths.append(folder / name)
        paths.append(self._write_rows(folder / "rows.csv"))
        return paths

    def write_section(self, page: Path) -> None:
        """Put the groups into their section of a Markdown page, in the place of its last edition.

        Raises
        ------
        ScenarioError
            If the tables are of several kinds, or the page cannot be read.
        """
        kinds = sorted({outcome.row.kind for outcome in self.outcomes})
        if len(kinds) != 1:
            words = f"takes tables of one kind; these are {', '.join(kinds) or 'empty'}"
            raise ScenarioError(Problem(words, "--page"))
        try:
            text = page.read_text(encoding="utf-8") if page.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(Problem(f"cannot be read: {error}", "--page", str(page))) from None
        publish(page, page_with(text, kinds[0], section_text(self.to_dict(), kinds[0])))

    def write_discrepancy(self, path: Path, date: str) -> None:
        """Write what the model leaves out, as these cross-fitted and sampled rows show it.

        Raises
        ------
        ScenarioError
            If the rows are not cross-fitted, or none was sampled.
        """
        found = self.intervals.estimate
        if found is None:
            raise ScenarioError(
                Problem("needs rows of a serving table with --cross-fit pair and --uncertainty N")
            )
        scored = [outcome for outcome in self.scored if outcome.pairs]
        pairs = {pair_of(outcome.row) for outcome in scored}
        names = ", ".join(sorted({Path(table).name for table in self.tables}))
        source = f"{len(scored)} rows of {len(pairs)} pairs of device and model, {names}"
        publish(path, discrepancy_yaml(found, date, source))

    def write_constants(self, root: Path, date: str) -> tuple[Path, ...]:
        """Write the constants fitted to all pairs into the presets below ``root``.

        Raises
        ------
        ScenarioError
            If the rows are not cross-fitted, or ``root`` holds no presets.
        """
        if self.crossed is None:
            raise ScenarioError(Problem("needs --cross-fit pair", "--constants"))
        return write_constants(self.crossed, stated(), root, date)

    def _write_rows(self, path: Path) -> Path:
        columns: dict[str, None] = {}
        for outcome in self.outcomes:
            columns.update(dict.fromkeys(outcome.row.values))
        added = (
            [f"hetsim_{name}" for name in (*_row(self.outcomes[0]), *METRICS)]
            if (self.outcomes)
            else []
        )
        partial = path.with_suffix(".csv.partial")
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, [*columns, *added])
            writer.writeheader()
            for outcome in self.outcomes:
                found = {f"hetsim_{name}": value for name, value in _row(outcome).items()}
                errors = {f"hetsim_{k}": f"{p.error:.2f}" for k, p in outcome.pairs.items()}
                writer.writerow({**outcome.row.values, **found, **errors})
        partial.replace(path)
        return path


def _plain(metrics: dict[str, Metric]) -> dict[str, dict[str, Any]]:
    return {name: metric._asdict() for name, metric in metrics.items()}


def _row(outcome: Outcome) -> dict[str, Any]:
    found = outcome.prediction
    return {
        "row_id": outcome.row.row_id,
        "status": outcome.status,
        "reason": outcome.reason,
        "ttft_ms": found.ttft_ms,
        "tpot_ms": found.tpot_ms,
        "out_tok_s": found.out_tok_s,
        "out_tok_s_per_accel": found.out_tok_s_per_accel,
    }


def _in_fit(outcome: Outcome, fitted: Mapping[str, int]) -> bool:
    """Say whether a row belongs to a pair that the constants it was predicted with were fitted on.

    Only complete serving rows enter a fit.
    """
    row = outcome.row
    return row.kind == "serving" and row.grade == "A" and pair_of(row) in fitted


def _crossed(found: CrossFit) -> dict[str, Any]:
    """Return what a refit found: constants of all pairs, their errors, and those held out."""
    return {
        "by": "pair",
        "observations": found.fit.observations,
        "rows_in_fit": dict(sorted(found.fitted.items())),
        "constants": dict(found.fit.constants),
        "rse": dict(found.fit.rse),
        "correlation": {key: dict(row) for key, row in found.fit.correlation.items()},
        "held_out": {pair: dict(values) for pair, values in found.held_out.items()},
        "linear_error": found.linear_error,
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _line(group: dict[str, Any]) -> str:
    cells = []
    for name in METRICS:
        metric = group["metrics"][name]
        if not metric["n"]:
            cells.append(f"{'-':>24s}")
            continue
        text = "{n:d}  {median_ape:.1f} / {p90_ape:.0f} ({bias:+.0f})".format(**metric)
        cells.append(f"{text:>24s}")
    cover = group["coverage"]
    share = "-" if cover is None else f"{100 * cover:.1f}"
    head = f"  {group['group'][:34]:34s}{group['rows']:6d}{group['in_fit']:6d}{share:>7s}"
    return head + "".join(cells)
