"""Where the fits of kernels stand against their target, read off the sections of the page."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import NamedTuple

__all__ = ["standing_text"]

_TARGET = 8.0
"""Median error in percent on families that were held back."""
_LEAST = 50
"""Shapes from which a fit is held to the target."""
_CELLS = 9


class _Row(NamedTuple):
    device: str
    kind: str
    format: str
    median: float


def standing_text(sections: Mapping[str, str]) -> str:
    """Return how many fits of each kind meet the target, and those that do not, the worst first.

    Of a plain and a shaped fit the better one counts. Fits that are not published are left out.
    """
    best: dict[tuple[str, str, str], float] = {}
    for device in sorted(sections):
        for row in _rows(device, sections[device]):
            key = (row.device, row.kind, row.format)
            best[key] = min(row.median, best.get(key, row.median))
    kinds: dict[str, list[_Row]] = {}
    for (device, kind, fmt), median in best.items():
        kinds.setdefault(kind, []).append(_Row(device, kind, fmt, median))
    lines = [
        "### Where fits stand",
        "",
        f"Target: a median error of {_TARGET:g} % on held-back families, of every device, kind and",
        f"precision with at least {_LEAST} measured shapes (the better of plain and shaped).",
        "",
        "| kind | fits | above the target | which |",
        "|---|---|---|---|",
    ]
    for kind, rows in kinds.items():
        missed = sorted((r for r in rows if r.median > _TARGET), key=lambda r: -r.median)
        which = ", ".join(f"{r.device} {r.format} {r.median:.1f}" for r in missed)
        lines.append(f"| {kind} | {len(rows)} | {len(missed)} | {which or '-'} |")
    words = [line for text in _WHY for line in wrap(text, 98, subsequent_indent="  ")]
    return "\n".join([*lines, "", "Why they miss, as far as residuals show:", "", *words]) + "\n"


def _rows(device: str, section: str) -> list[_Row]:
    found = []
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != _CELLS or not cells[3].isdigit() or "not published" in cells[2]:
            continue
        if int(cells[3]) >= _LEAST:
            found.append(_Row(device, cells[0], cells[1], float(cells[6].split("/")[0])))
    return found


_WHY = (
    "- Decode attention over fp8 KV on Hopper: with one query head per KV head a byte of KV "
    "takes 25 to 55 % longer than with a group (`lone_head`; without that term 15.6 and 11.5 "
    "% on H200 and H100). What is left is a slope that depends on the number of blocks (batch "
    "times KV heads) below some 16 of them: as a term it brought another half percent, and is "
    "not built, since all slopes of a step are summed once and not per batch.",
    "- Experts in nvfp4 on Blackwell (B200): a fifth faster than predicted below a tenth of a "
    "token per expert, a tenth slower at 8 to 32; the three frameworks differ by as much at "
    "the same shape, and expert parallelism over hundreds of ranks is a sixth slower. No "
    "single term covers it. Weight-only formats have one or two model shapes, so that holding "
    "one back leaves next to nothing.",
    "- Block-scaled fp8 projections on Hopper (H200): stairs of waves of 128 x 128 tiles over "
    "the multiprocessors; 6 % faster than predicted just below one wave, 13 to 19 % slower "
    "between one and one and a half. The smooth terms m0, n0 and k0 lie between.",
    "- Latent decode attention on Blackwell: only 64 and 128 heads show the compute side; "
    "held back, they are predicted two to three and a half times too slow from the "
    "memory-bound rest, where the fit to all has 7 to 9 %. Padding heads to a tile did not "
    "help.",
    "- L40S, MI355X, the prompt kernels and elementwise passes were not looked into.",
)
"""What was seen in the residuals of 2026-11."""
