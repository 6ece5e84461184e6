"""The calibration file of a measured device, its page of errors, and its residual plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from hetsim.calibrate._device import named
from hetsim.calibrate._fit import Fitted
from hetsim.calibrate._measured import KernelFit
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._passes import PASS_KINDS
from hetsim.calibrate._row_table import RowTable
from hetsim.calibrate._samples import Samples
from hetsim.calibrate._write import entry_errors, flow, number, plain_text, quality

__all__ = ["draw_residuals", "measured_page", "measured_text"]

_MAIN = ("t0_us", "e_c", "e_m", "p", "s0_tokens")
_NOT_WRITTEN = ("cache_gain",)
_MOST = 10.0
_AXES = {"gemm": "m", "attention_prefill": "new tokens", "attention_decode": "context"}


def measured_text(
    fits: Sequence[KernelFit], samples: Samples, nominal: Nominal, date: str, provider: str
) -> str:
    """Return the YAML text of one provider's kernels."""
    own = [fit for fit in fits if fit.provider == provider and fit.plain is not None]
    source = _source(samples)
    lines = [
        "# Fitted to kernels that were timed on the device itself; raw samples lie beside.",
        "# e_c, e_m: fractions of the nominal peak and memory bandwidth. rse: by how much a shape",
        "# that was not measured is off, one standard deviation. Errors: on whole families of",
        "# shapes that were held back from the fit. shaped: the same kernels in the fuller form;",
        "# table: t = t0 + n k ps_per_weight(m) inside the measured m; the roofline scaled outside",
        "# errors: relative standard errors of the estimates themselves, and their correlations.",
        "schema: 1",
        f"accelerator: {nominal.name}",
        f'date: "{date}"',
        f'provider: "{provider}"',
        f'source: "{plain_text(source)}"',
        "operators:",
    ]
    for kind in dict.fromkeys(fit.kind for fit in own):
        lines.append(f"  {kind}:")
        for fit in own:
            if fit.kind == kind and fit.plain is not None:
                lines += _entry(fit, fit.plain, nominal)
    if not own:
        lines[-1] = "operators: {}"
    lines += ["collectives: {}", *_host(samples)]
    return "\n".join(lines) + "\n"


def _source(samples: Samples) -> str:
    versions = sorted({f"torch {m['device']['torch']}" for m in samples.manifests})
    clocks = sorted({f"{m['device']['clock']} clock" for m in samples.manifests})
    said = f"hetsim calibrate measure, {', '.join(versions + clocks) or 'no manifest'}"
    rounds = f"{samples.rounds} rounds, {samples.moved} of them moved, {samples.good} good"
    return f"{said}; {rounds}: {samples.verdict}"


def _entry(fit: KernelFit, plain: Fitted, nominal: Nominal) -> list[str]:
    key = fit.format
    if fit.kind in ("gemm", "grouped_gemm") and fit.format not in ("fp16", "tf32"):
        key = named(fit.kind, fit.format, nominal)
    main = {name: plain.parameters[name] for name in _MAIN if name in plain.parameters}
    stated = _stated(plain)
    if fit.table is not None and fit.table_error is not None:
        stated = {
            **stated,
            "median_error_ratio": fit.table_error[0],
            "p90_error_ratio": fit.table_error[1],
        }
    parts = [
        flow(main),
        f"grade: measured, {flow(stated, 2)}, points: {plain.points}",
        f'valid: "{_valid(fit)}"',
        f"errors: {{{entry_errors(_believable(plain))}}}",
    ]
    if fit.shaped is not None:
        more = {k: v for k, v in fit.shaped.parameters.items() if k not in _NOT_WRITTEN}
        tail = f"points: {fit.shaped.points}, errors: {{{entry_errors(_believable(fit.shaped))}}}"
        parts.append(f"shaped: {{{flow(more)}, {flow(_stated(fit.shaped), 2)}, {tail}}}")
    if fit.rows is not None:
        parts.append(f"measured: [{number(fit.rows[0])}, {number(fit.rows[1])}]")
    if fit.table is not None:
        parts.append(_table(fit.table))
    body = ",\n      ".join(parts)
    return [f"    {key}: {{{body}}}"]


def _stated(fitted: Fitted) -> dict[str, float]:
    found = quality(fitted)
    return {**found, "rse": min(found["rse"], 1.0)}


def _believable(fitted: Fitted) -> Fitted:
    """Cut errors of parameters that the samples do not determine at all."""
    errors = {name: min(value, _MOST) for name, value in fitted.standard_error.items()}
    return replace(fitted, standard_error=errors)


def _valid(fit: KernelFit) -> str:
    if fit.rows is not None:
        return f"{_AXES[fit.kind]} {fit.rows[0]:g} to {fit.rows[1]:g}"
    work = fit.residuals["work"] if fit.residuals is not None else None
    unit = "bytes" if fit.kind in PASS_KINDS else "FLOP"
    return f"{work.min():.2g} to {work.max():.2g} {unit}" if work is not None else ""


def _table(table: RowTable) -> str:
    rows = ", ".join(number(m) for m in table.m)
    each = ", ".join(number(s * 1e12) for s in table.s_per_weight)
    errors = ", ".join(number(e, 2) for e in table.standard_error)
    return f"table: {{m: [{rows}], ps_per_weight: [{each}], errors: [{errors}]}}"


def _host(samples: Samples) -> list[str]:
    rows = samples.table[samples.table["kind"] == "launch"]
    found = {f"launch_{r['op']}_us": 1e6 * r["time_s"] for _, r in rows.iterrows()}
    return [f"host: {{{flow(found)}}}"] if found else ["host: {}"]


# --- the page ------------------------------------------------------------------------------------


def measured_page(fits: Sequence[KernelFit], samples: Samples, nominal: Nominal, date: str) -> str:
    """Return a page with the errors of every kind, precision and provider."""
    lines = [
        f"# Kernels measured on {nominal.name}",
        "",
        f"{date}. {_source(samples)}.",
        "",
        "Errors are |predicted / measured - 1| in percent, median / 90th percentile. *Held back*:",
        "whole families of shapes, (n, k) or head counts or lengths, were left out of the fit that",
        "predicts them. *Form* is the one that costs use. Left out: readings and points by reason.",
        "",
        "| kind | format | provider | points | form | in sample | held back | left out |",
        "|---|---|---|---|---|---|---|---|",
        *(_page_row(fit) for fit in fits),
        "",
        "Projections by range of m, median error on held-back shapes, percent:",
        "",
        "| format | provider | " + " | ".join(_ranges(fits)) + " |",
        "|---|---|" + "---|" * len(_ranges(fits)),
        *(_regime_row(fit, _ranges(fits)) for fit in fits if fit.regimes),
    ]
    spread = float(samples.table["spread"].median())
    lines += [
        "",
        f"Noise floor: medians of one point in different rounds lie {100.0 * spread:.1f} % apart "
        "(median over points).",
    ]
    return "\n".join(lines) + "\n"


def _page_row(fit: KernelFit) -> str:
    lost = ", ".join(f"{reason} {count}" for reason, count in sorted(fit.dropped.items()))
    start = f"| {fit.kind} | {fit.format} | {fit.provider} |"
    if fit.plain is None or fit.error is None:
        return f"{start} {fit.read} | too few | | | {lost} |"
    best = fit.shaped or fit.plain
    inner = f"{100 * best.median_in:.1f} / {100 * best.p90_in:.0f}" if not fit.table else ""
    outer = f"{100 * fit.error[0]:.1f} / {100 * fit.error[1]:.0f}"
    return f"{start} {best.points} | {fit.form} | {inner} | {outer} | {lost} |"


def _ranges(fits: Sequence[KernelFit]) -> list[str]:
    return list(dict.fromkeys(name for fit in fits for name in fit.regimes))


def _regime_row(fit: KernelFit, names: Sequence[str]) -> str:
    cells = [f"{100 * fit.regimes[name]:.1f}" if name in fit.regimes else "" for name in names]
    return f"| {fit.format} | {fit.provider} | {' | '.join(cells)} |"


# --- plots ---------------------------------------------------------------------------------------


def residual_tables(fits: Sequence[KernelFit]) -> dict[str, list[tuple[str, Any]]]:
    """Return by kind the held-back residuals of its formats, ``(label, table)``."""
    found: dict[str, list[tuple[str, Any]]] = {}
    for fit in fits:
        if fit.residuals is not None:
            label = f"{fit.format} {fit.provider} ({fit.form})"
            found.setdefault(fit.kind, []).append((label, fit.residuals))
    return found


def draw_residuals(fits: Sequence[KernelFit], folder: Path) -> list[Path]:
    """Draw predicted over measured against the work, one figure per kind; return the files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind, parts in residual_tables(fits).items():
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        axes = figure.add_subplot()
        for label, table in parts:
            ratio = table["predicted_s"] / table["time_s"]
            axes.plot(table["work"], ratio, "o", ms=3, label=f"{label}: {median(ratio):.2f}")
        axes.axhline(1.0, color="0.5", lw=0.8)
        axes.set(xscale="log", yscale="log", xlabel="FLOP, or bytes", ylabel="predicted / measured")
        axes.set_title(f"{kind}: held-back shapes")
        axes.legend(fontsize=7)
        path = folder / f"residuals-{kind}.png"
        FigureCanvasAgg(figure)
        figure.savefig(path)
        written.append(path)
    return written
