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
    "- Decode attention over fp8 KV on Hopper: lone query heads in few blocks and groups of 16 or "
    "more are 15 to 40 % slower than predicted, groups of 3 to 8 some 10 % faster; a walk of their "
    "own for lone heads did not help. A100's TensorRT-LLM table of decode attention outruns the "
    "memory in 27 % of the rows whose KV fits no cache (up to 1.69 times nominal) and is left out "
    "as a whole (`bytes not read`); with it the error is 9.8 %.",
    "- Experts in nvfp4 on Blackwell (GB200): expert counts that only TensorRT-LLM's low-latency "
    "kernel serves without EP are 10 to 20 % faster than predicted at 16 to 512 tokens per expert; "
    "Mixtral's at EP 2 take a quarter to a half longer, since that kernel is then not used. "
    "Measured times fall again with more tokens at several kernel switches, which no rising form "
    "follows. Rows whose collector sent the copies of remote experts to one local expert, and rows "
    "that only a slower source measured, are left out (H200 and B200 in int4: of B200's ten "
    "families one is left).",
    "- Projections: tables repeat a shape over one to six copies of its weights, so that up to a "
    "sixth of the cache is measured from the cache (L40S: at 1.5 to 2.5 times the memory's rate). "
    "Such a row yields to one of another framework that came from memory, where memory bounds the "
    "shape; what is left is told apart by the working set, not by the size of one shape. Tables of "
    "fp8 and narrower formats hold the quantisation of the activations, which costs per element "
    "(`token`) and, on RTX PRO 6000 with block scales, per row (`row`, 20 ns). With these and the "
    "stair of tiles over multiprocessors every device is within the target, but MI355X in int8.",
    "- Projections in int8 on MI355X: the table mixes two campaigns of tuning that no column tells "
    "apart; above 256 rows one reaches 2,000 to 2,500 TFLOP/s, the other 1,500 to 1,800 at like "
    "shapes, so that half of the rows lie a sixth to either side of any curve. In fp8 with block "
    "scales kernels for shuffled weights are 17 % faster in the median of 917 shapes; shapes that "
    "only the other kernels were tuned for are left out.",
    "- Latent decode attention on Blackwell over fp8: 32 heads take 1.6 times, 64 heads 1.25 and "
    "128 heads 1.17 times as long as 16; no monotone term describes that. On L40S and RTX PRO 6000 "
    "in bf16 SGLang's kernel is faster for few heads or sequences, TensorRT-LLM's elsewhere; one "
    "curve lies between.",
    "- Prompts on L40S: at 128 to 256 tokens 20 to 40 % too slow at batch 4 to 16, 15 to 25 % too "
    "fast from batch 128. Its latent prompts in bf16 are of two frameworks; 112 shapes that only "
    "the one measured that is seven times slower are left out.",
    "- The forms were chosen with these held-back errors in view, some dozens of variants, so that "
    "a fit just below the target is no safe margin.",
)
"""What was seen in the residuals of 2026-11."""
