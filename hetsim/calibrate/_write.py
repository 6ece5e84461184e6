"""Calibration files and the page about them: small, readable, the same bytes for the same fits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hetsim.calibrate._device import CollectiveFit, DeviceFit, OperatorFit
from hetsim.calibrate._fit import Fitted
from hetsim.calibrate._standing import standing_text

__all__ = [
    "calibration_text",
    "entry_errors",
    "flow",
    "number",
    "page_text",
    "plain_text",
    "publish",
    "quality",
]

_MAIN = ("t0_us", "e_c", "e_m", "p", "s0_tokens")
_SAMPLED = ("t0_us", "e_c", "e_m")
"""What an uncertainty run draws; correlations of the others are not kept."""
_NOT_WRITTEN = ("cache_gain",)
"""How much faster cached operands were: a property of the benchmark, not of serving."""


def publish(path: Path, text: str) -> bool:
    """Write ``text`` to ``path`` whole or not at all; return whether the file changed."""
    data = text.encode()
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return True


def calibration_text(fit: DeviceFit, date: str, provider: str, source: str) -> str:
    """Return the YAML text of ``calibration/<accelerator>/<date>.yaml``."""
    lines = [
        f"# Fitted to kernel tables: {plain_text(source)}.",
        "# e_c, e_m: fractions of the nominal peak and memory bandwidth. rse: by how much a shape",
        "# that was not measured is off, one standard deviation. Errors: on whole families of",
        "# shapes that were held back from the fit. shaped: the same kernels in the fuller form.",
        "# errors: relative standard errors of the estimates themselves, and their correlations.",
        "schema: 1",
        f"accelerator: {fit.accelerator}",
        f'date: "{date}"',
        f'provider: "{plain_text(provider)}"',
        f'source: "{plain_text(source)}"',
        "operators:",
    ]
    kinds = list(dict.fromkeys(o.kind for o in fit.operators if o.usable))
    for kind in kinds:
        lines.append(f"  {kind}:")
        for operator in fit.operators:
            if operator.kind == kind and operator.usable and operator.plain is not None:
                lines += _operator_lines(operator, operator.plain)
    if not kinds:
        lines[-1] = "operators: {}"
    lines += _collective_lines(fit.collectives)
    lines.append("host: {}")
    return "\n".join(lines) + "\n"


def plain_text(text: str) -> str:
    """Return a text that stands between double quotes in YAML."""
    return " ".join(text.replace('"', "'").split())


def _operator_lines(operator: OperatorFit, plain: Fitted) -> list[str]:
    key = "any" if operator.kind == "elementwise" else operator.format
    main = {name: plain.parameters[name] for name in _MAIN if name in plain.parameters}
    lines = [
        f"    {key}:",
        f"      {flow(main)}",
        f"      grade: fitted, {flow(quality(plain), 2)}, points: {plain.points}",
        f'      valid: "{operator.valid}"',
        f"      errors: {{{entry_errors(plain)}}}",
    ]
    # One flow mapping per format, over several lines.
    body = ",\n".join(line.strip() for line in lines[1:])
    if operator.shaped is not None:
        more = {k: v for k, v in operator.shaped.parameters.items() if k not in _NOT_WRITTEN}
        stated = flow(quality(operator.shaped), 2)
        tail = f"points: {operator.shaped.points}, errors: {{{entry_errors(operator.shaped)}}}"
        body += f",\nshaped: {{{flow(more)}, {stated}, {tail}}}"
    return [lines[0] + " {" + body.replace("\n", "\n      ") + "}"]


def entry_errors(fitted: Fitted) -> str:
    """Return relative standard errors of the parameters, and correlations of the sampled ones."""
    known = {
        name: value
        for name, value in fitted.standard_error.items()
        if name not in _NOT_WRITTEN and fitted.parameters[name] > 0.0
    }
    pairs = {
        key: value
        for key, value in fitted.correlation.items()
        if all(name in _SAMPLED and name in known for name in key.split("/"))
    }
    return flow({**known, **pairs}, 2)


def quality(fitted: Fitted) -> dict[str, float]:
    """Return how far a fit misses, by the names of a file."""
    return {
        "rse": fitted.rse,
        "median_error_ratio": fitted.median_out,
        "p90_error_ratio": fitted.p90_out,
    }


def flow(values: Mapping[str, float], digits: int = 4) -> str:
    """Return names and numbers as the inside of a YAML flow mapping."""
    return ", ".join(f"{name}: {number(value, digits)}" for name, value in values.items())


def number(value: float, digits: int = 4) -> str:
    """Return a few digits, in the plain notation that YAML 1.2 reads as a number.

    >>> number(0.123456), number(2.0), number(123456.0)
    ('0.1235', '2', '123500')
    """
    rounded = float(f"{value:.{digits}g}")
    text = f"{rounded:.10f}".rstrip("0").rstrip(".")
    return text or "0"


def _collective_lines(fits: tuple[CollectiveFit, ...]) -> list[str]:
    if not fits:
        return ["collectives: {}"]
    lines = ["collectives:"]
    for kind in dict.fromkeys(f.kind for f in fits):
        lines.append(f"  {kind}:")
        for made in (f for f in fits if f.kind == kind):
            lines.append(f'    "{made.ranks}":')
            missed = {
                "rse": made.fit.rse,
                "median_error_ratio": made.fit.median_out,
                "p90_error_ratio": made.fit.p90_out,
            }
            for t0_us, rate in made.fit.pieces:
                line = flow({"t0_us": t0_us, "bytes_per_s": rate})
                tail = f"grade: fitted, {flow(missed, 2)}, points: {made.fit.points}"
                lines.append(f"      - {{{line}, {tail}}}")
    return lines


# --- the page ------------------------------------------------------------------------------------

_PAGE_HEAD = """# Kernel fits

Errors are |predicted / measured - 1| as median / 90th percentile in percent. *Held back* means
that whole families of shapes (all rows of one weight matrix, one expert shape, one pair of head
counts) were left out of the fit that predicts them. *Plain* is the form of the main keys of a
file, *shaped* the fuller form under `shaped`. Rows of another framework that were slower at the
same shape are not errors and are not used.

*Bias* is the weighted mean of the held-back log error in percent (negative: predicted too fast).

The forms, in seconds, with `N_p(a, b, ...) = (a^p + b^p + ...)^(1/p)`, the format's nominal `peak`,
the nominal bandwidth `bw`, and every absent parameter zero (a head factor: one):

- gemm: `t0 + m (row + k token) + N_p(bytes / (bw e_m), 2 E (k + k0) / (peak e_c), k walk)`; `E` is
  the stair of output tiles, the least over tiles of `a x b` elements, 16 x 16 to 256 x 256, of
  `a b (1 + feed (1/a + 1/b)) / (1 + feed/128) blocks (u + wave (ceil(u) - u))` with
  `u = ceil(m/a) ceil(n/b) / blocks` waves over `blocks` multiprocessors; `(m + m0) (n + n0)` on
  devices whose number of multiprocessors is not known
- grouped_gemm: `t0 + passes pass + tile (hidden + width) tile_walk + N_p(bytes / (bw e_m),
  2 padded ((2 width + n0) hidden + (hidden + n0) width) / (peak e_c))`; tokens of the whole expert
  group, rows = tokens k / EP, distinct experts that work here, width = inter / expert TP;
  `tile = tile_rows y / (y + tile_half)` with `y = tokens k EP / experts`, as a library counts
  before it knows how many copies come; `padded = hypot(rows, distinct tile)`,
  `passes = tokens (4 hidden + k (hidden + 1.5 width))`; plain: padded = rows
- attention_prefill: `t0 + N_p(bytes / (bw e_m), N_fill_p(W, W q0 / (h new)) / (peak e_c))`,
  `W = 2 (h (d_qk + d_v) + kv_heads kv0) (sum of contexts + new s0 / 2) head_factor`, new = new
  tokens of all prompts; head_factor is head_64, 1, head_256 at head sizes 64, 128, 256, linear in
  the logarithm between, flat outside; kv0 are elements per KV head, which its query heads share
  (latent attention: none); fill_p absent: 1
- attention_decode: `t0 + batch (kv_heads per_kv_head + heads per_head) + sum of contexts slope`,
  `slope = N_p(N_walk_p(head_factor lone_head bytes / (bw e_m), walk / batch), F / (peak e_c))`, `F`
  FLOP, times `max(heads, head_tile) / heads` in latent attention where a fit states the tile;
  bytes and FLOP per token of context, the peak that of bf16; lone_head counts where every KV head
  serves one query head; walk is the time of one block per token of a sequence
- elementwise: `t0 + bytes / (bw e_m)`; collectives: the minimum over the pieces of
  `t0 + bytes / rate`

Formats: `bf16_w_int4` computes in bf16 on int4 weights, `bf16_kv_fp8_e4m3` stores KV in fp8. The
message of `moe_dispatch` and `moe_combine` is what one device sends, `tokens k hidden` elements.
"""


def page_text(old: str, fits: tuple[DeviceFit, ...], sources: Mapping[str, str]) -> str:
    """Return the page with the sections of ``fits`` replaced and all others as they were."""
    sections = _sections(old)
    for fit in fits:
        sections[fit.accelerator] = _section(fit, sources.get(fit.accelerator, ""))
    body = "\n".join(sections[name] for name in sorted(sections))
    return f"{_PAGE_HEAD}\n{standing_text(sections)}\n{body}"


def _sections(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split("\n## ")[1:]:
        found[part.splitlines()[0].strip()] = f"## {part.rstrip()}\n"
    return found


def _section(fit: DeviceFit, source: str) -> str:
    lines = [
        f"## {fit.accelerator}",
        "",
        f"Source: {source}.",
        "",
        "| kind | format | form | shapes | families | in sample | held back | bias | dropped |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for operator in fit.operators:
        lines += _page_rows(operator)
    if fit.collectives:
        lines += ["", "| collective | devices | points | pieces | in sample | held back |"]
        lines.append("|---|---|---|---|---|---|")
        lines += [_collective_row(made) for made in fit.collectives]
    return "\n".join(lines) + "\n"


def _page_rows(operator: OperatorFit) -> list[str]:
    dropped = ", ".join(f"{reason} {count}" for reason, count in sorted(operator.dropped.items()))
    start = f"| {operator.kind} | {operator.format} |"
    if operator.plain is None:
        return [f"{start} none | too few | | | | | of {operator.read}: {dropped} |"]
    rows = []
    for name, fitted in (("plain", operator.plain), ("shaped", operator.shaped)):
        if fitted is not None:
            tail = dropped if name == "plain" else ""
            if not operator.usable:
                name += ", not published"
            rows.append(
                f"{start} {name} | {fitted.points} | {fitted.families} | "
                f"{_pair(fitted.median_in, fitted.p90_in)} | "
                f"{_pair(fitted.median_out, fitted.p90_out)} | "
                f"{100.0 * fitted.bias_out:+.1f} | {tail} |"
            )
    return rows


def _collective_row(made: CollectiveFit) -> str:
    fit = made.fit
    return (
        f"| {made.kind} | {made.ranks} | {fit.points} | {len(fit.pieces)} | "
        f"{_pair(fit.median_in, fit.p90_in)} | {_pair(fit.median_out, fit.p90_out)} |"
    )


def _pair(median: float, p90: float) -> str:
    return f"{100.0 * median:.1f} / {100.0 * p90:.0f}"
