"""Fitted constants into files: what the fit rests on, and the presets that state them.

Only numbers change: a preset keeps its comments, its order and all that was read in an engine's
files. What a preset switches off (0) stays off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import log, sqrt
from pathlib import Path

from hetsim.errors import Problem, ScenarioError
from hetsim.validate._constants import CONSTANTS, Constants
from hetsim.validate._crossfit import CrossFit
from hetsim.validate._page import publish
from hetsim.validate._refit import Fit
from hetsim.validate._score import Outcome, pair_of, quantile

__all__ = ["Spread", "check_root", "engines_yaml", "pair_spread", "preset_text", "write_constants"]

_STATING = ("sglang", "trtllm", "trtllm_2024", "vllm")
"""Presets that state an engine's own constants; every other one takes them from its base."""

_HEAD = """\
# Which rows the fitted constants of the engines (hardware_profiles/runtimes) rest on, and how sure they are.
# Robust least squares on the sensitivities of rows (written by hetsim validate --cross-fit pair --constants DIR):
# at most 40 rows of each pair of device and model, closed loops of at most 512 users, complete rows without doubts
# of the public serving tables that calibration/VALIDATION.md lists. rse: relative standard error of the estimate,
# pairs as clusters. What a preset states for sampling is the error for a pair that was not fitted: besides it,
# pair_spread, by which the cross-fitted rows of a pair are off together (robust spread of the medians of pairs):
# of kernel scales (TPOT and throughput), and of the request overhead (TTFT); correlations are less by as much.
"""  # noqa: E501

_ROWS = re.compile(r"fitted: \d+ rows of public serving tables, \d+ pairs")
_HANDED = re.compile(r"\d+ ms per request, and \d+ decode steps")


Spread = Mapping[str, float]
"""How far the rows of a pair that was not fitted are off together, by what it is added to."""


def pair_spread(outcomes: Sequence[Outcome]) -> Spread:
    """Return the robust spread of the medians of pairs, of kernel scales and of the overhead.

    A median of absolute deviations times 1.4826 is the deviation of a normal distribution.
    """
    found: dict[str, dict[str, list[float]]] = {"kernels": {}, "request_overhead": {}}
    for outcome in outcomes:
        if outcome.row.grade != "A" or outcome.row.suspect:
            continue
        for metric, pair in outcome.pairs.items():
            part = "request_overhead" if metric == "ttft" else "kernels"
            miss = log(pair.predicted / pair.measured)
            if metric == "throughput":
                miss = -miss
            found[part].setdefault(pair_of(outcome.row), []).append(miss)
    return {part: _deviation(by_pair) for part, by_pair in found.items()}


def _deviation(by_pair: Mapping[str, Sequence[float]]) -> float:
    medians = sorted(quantile(sorted(some), 0.5) for some in by_pair.values())
    if not medians:
        return 0.0
    middle = quantile(medians, 0.5)
    return 1.4826 * quantile(sorted(abs(m - middle) for m in medians), 0.5)


def engines_yaml(crossed: CrossFit, before: Constants, spread: Spread, date: str) -> str:
    """Return the record of a fit: values, errors, what they were before, rows by pair."""
    fit = crossed.fit
    lines = [_HEAD + "schema: 1", f'date: "{date}"', f"observations: {fit.observations}"]
    parts = ", ".join(f"{name}: {value:.2f}" for name, value in sorted(spread.items()))
    lines += [f"pair_spread: {{{parts}}}", "constants:"]
    for key in sorted(fit.constants):
        was = f", before: {_number(before[key])}" if key in before else ""
        value, rse = _number(fit.constants[key]), f"{fit.rse[key]:.2g}"
        lines.append(f"  {key}: {{value: {value}, rse: {rse}{was}}}")
    lines.append("rows_in_fit:")
    lines += [f'  "{pair}": {count}' for pair, count in sorted(crossed.fitted.items())]
    return "\n".join(lines) + "\n"


def preset_text(text: str, name: str, fit: Fit, spread: Spread, rows: tuple[int, int]) -> str:
    """Return the file of preset ``name`` at the fitted constants; ``rows``: of how many pairs."""
    values = fit.constants
    if name not in _STATING and not re.search(r"^base: ", text, flags=re.MULTILINE):
        return text  # an engine of its own, such as one without overheads
    for field, constant in CONSTANTS.items():
        key = f"all.{field}" if constant.shared else f"{name}.{field}"
        if key in values and (constant.shared or name in _STATING):
            text = re.sub(
                rf"^{field}: (?!0(\.0*)?$)[-+.\de]+$",
                f"{field}: {_number(values[key])}",
                text,
                flags=re.MULTILINE,
            )
    if name in _STATING:
        errors, correlation = _errors(name, fit, spread)
        text = re.sub(r"^rse: \{[^}]*\}$", errors, text, flags=re.MULTILINE)
        text = re.sub(r"^correlation:\n(?:  \S+/\S+: .*\n)*", correlation, text, flags=re.MULTILINE)
    text = _ROWS.sub(f"fitted: {rows[0]} rows of public serving tables, {rows[1]} pairs", text)
    overhead, steps = values.get("all.handoff_overhead_s"), values.get("all.handoff_steps")
    if overhead is not None and steps is not None:
        text = _HANDED.sub(
            f"{1e3 * overhead:.0f} ms per request, and {steps:.0f} decode steps", text
        )
    return text


def _errors(name: str, fit: Fit, spread: Spread) -> tuple[str, str]:
    """Return the lines of errors for a pair that was not fitted, and of their correlations."""
    keys = {
        field: f"all.{field}" if constant.shared else f"{name}.{field}"
        for field, constant in CONSTANTS.items()
    }
    keys = {field: key for field, key in keys.items() if key in fit.rse and key in fit.constants}
    own = {field: fit.rse[key] for field, key in keys.items()}
    whole = {field: sqrt(rse**2 + _added(field, spread) ** 2) for field, rse in own.items()}
    rse = "rse: {" + ", ".join(f"{field}: {value:.2g}" for field, value in whole.items()) + "}"
    lines = ["correlation:"]
    fields = list(keys)
    for place, first in enumerate(fields):
        for second in fields[place + 1 :]:
            part = own[first] * own[second] / (whole[first] * whole[second])
            value = part * fit.correlation[keys[first]][keys[second]]
            if abs(value) >= 0.105:
                lines.append(f"  {first}/{second}: {value:.2f}")
    return rse, "\n".join(lines) + "\n"


def _added(field: str, spread: Spread) -> float:
    if field.startswith("kernel_scale"):
        return spread.get("kernels", 0.0)
    return spread.get("request_overhead", 0.0) if field == "request_overhead_s" else 0.0


def check_root(root: Path) -> list[Path]:
    """Return the presets below ``root``, which a fit is written into.

    Raises
    ------
    ScenarioError
        If there are none, or no ``calibration`` beside them.
    """
    presets = sorted((root / "hardware_profiles" / "runtimes").glob("*.yaml"))
    if not presets or not (root / "calibration").is_dir():
        wanted = "needs hardware_profiles/runtimes/*.yaml and calibration/, as a clone has them"
        raise ScenarioError(Problem(f"{root} {wanted}", "--constants"))
    return presets


def write_constants(
    crossed: CrossFit, before: Constants, root: Path, date: str
) -> tuple[Path, ...]:
    """Write a fit into ``root``'s calibration/engines.yaml and presets; return what changed.

    Raises
    ------
    ScenarioError
        If ``root`` holds no presets; nothing is written then.
    """
    presets = check_root(root)
    spread = pair_spread(crossed.outcomes)
    rows = (sum(crossed.fitted.values()), len(crossed.fitted))
    texts = {root / "calibration" / "engines.yaml": engines_yaml(crossed, before, spread, date)}
    for path in presets:
        text = path.read_text(encoding="utf-8")
        texts[path] = preset_text(text, path.stem, crossed.fit, spread, rows)
    changed = [p for p, t in texts.items() if not p.is_file() or p.read_text("utf-8") != t]
    for path in changed:
        publish(path, texts[path])
    return tuple(changed)


def _number(value: float) -> str:
    """Return three significant digits, without an exponent: files of people read 0.0000217."""
    text = f"{float(f'{value:.3g}'):.10f}".rstrip("0").rstrip(".")
    return text or "0"
