"""The same scene through hetsim: what a runtime preset says of a setting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hetsim.calibrate.loop._shapes import SIZES
from hetsim.calibrate.loop.real._stage import BLOCKS, MODEL, PAGE
from hetsim.model import get_model
from hetsim.representation import Declared, LayoutWords, Representation, Tile, detect, represent
from hetsim.run import run_loaded
from hetsim.runtimes import get_runtime
from hetsim.scenario import load_data

__all__ = ["PRESET", "judge", "predict"]

PRESET = "vllm_nixl_pull"
_DEVICE = "cpu-amd-epyc-25-17-1t"
_PACE = {"prefill": "100 ms", "decode_step": "20 ms"}
"""Only their order of magnitude matters: what is compared are causes, and times of the protocol."""
_TILE: Tile = "vectorized_5d"
"""The CPU back end of the engine keeps the keys of a block as [head_dim, tokens]."""
_LATE_S = 1.0
"""Beside the time between two looks: a step of P, and the message."""

_FAULTS: Mapping[str, Mapping[str, Any]] = {
    "before": {"kind": "decode_crash", "when": "Ds:reserved"},
    "posted": {"kind": "decode_crash", "when": "Ds:reading"},
    "after": {"kind": "decode_crash", "when": "Ds:decoding"},
    "stall": {"kind": "step_stall", "when": "Ps:leased", "pool": "decode"},
    "gone": {"kind": "prefill_crash", "when": "Ps:leased"},
    "nobody": {"kind": "decode_crash", "when": "Ps:leased"},
}


def predict(setting: Mapping[str, Any], folder: Path) -> dict[str, Any] | None:
    """Return outcome, release and blocks of a setting; ``folder`` takes the scenario's files."""
    event = setting["event"]
    if event == "alone":
        return _times(setting, folder)
    found = _detected(setting, folder)
    faults = [dict(_FAULTS[event])] if event in _FAULTS else []
    for fault in faults:
        if fault["kind"] == "step_stall":
            fault["duration"] = f"{3.0 * setting['lease_s']} s"
    # Which mismatch is refused, or not seen, does not matter to what follows.
    like = {"reject_connect": "same_width_dtype", "silent": "static_scales"}
    if found["at_the_handshake"] in like:
        seen_as = like[found["at_the_handshake"]]
        faults.append({"kind": "mismatch", "mismatch": seen_as, "probability": 1.0})
    result = run_loaded(load_data(_scenario(setting, faults, folder), base_dir=folder))
    moves: Any = result.ownership
    mine = moves[moves.request_id == 0]
    row: Any = result.requests[result.requests.request_id == 0].iloc[0]
    page = setting["page"][0]
    said = {
        "outcome": _outcome(row, mine, event),
        "held_blocks": -(-setting["prompt_tokens"] // page),
    }
    said |= _release(mine)
    if event == "gone":
        failed = mine[(mine.block_set == "Ds") & mine.cause.str.startswith("failed")]
        granted = mine[(mine.block_set == "Ds") & (mine.state_to == "reserved")]
        said["ended_after_s"] = round(float(failed.time_s.iloc[0] - granted.time_s.iloc[0]), 2)
    return {**said, **(found if event == "none" else {})}


def _times(setting: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the times of one request on one device, from the kernels measured on such a CPU."""
    (folder / "model.json").write_text(json.dumps({**MODEL, **SIZES["200m"]}))
    (folder / "trace.csv").write_text(f"arrival_s,isl,osl\n0,{setting['prompt_tokens']},9\n")
    serve = {**_pool(1), "role": "both", "runtime": "ideal", "max_batched_tokens": 2304}
    made = {
        "name": "one engine alone",
        "model": str(folder / "model.json"),
        "workload": {"kind": "trace", "path": "trace.csv"},
        "pools": {"serve": serve},
        "slo": {"ttft": "60 s", "tpot": "10 s"},
    }
    row: Any = run_loaded(load_data(made, base_dir=folder)).requests.iloc[0]
    return {"prefill_s": round(float(row.prefill_s), 4), "tpot_s": round(float(row.tpot_s), 5)}


def _pool(tp: int) -> dict[str, Any]:
    return {
        "accelerator": _DEVICE,
        "instances": 1,
        "parallel": {"tp": tp},
        "precision": {"weights": "bf16", "compute": "bf16", "kv": "bf16"},
        "devices_per_node": tp,
        "max_seqs": 8,
    }


def _detected(setting: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return what the runtime's checks say when the two sides meet."""
    (folder / "model.json").write_text(json.dumps(MODEL))
    model = get_model(str(folder / "model.json"))
    runtime = get_runtime(PRESET)

    def side(index: int) -> tuple[Representation, ...]:
        words = LayoutWords(
            page_tokens=setting["page"][index],
            order=runtime.order,  # type: ignore[arg-type]
            kv_pack=runtime.kv_pack,  # type: ignore[arg-type]
            tile=_TILE,
        )
        return represent(
            model,
            setting["dtype"][index],
            words,
            tp=setting["tp"][index],
            declared=Declared(dtype=setting["declared"][index]),
        )

    made = detect(side(0), side(1), PRESET)
    differs = sorted({finding.mismatch for finding in made.findings})
    return {"at_the_handshake": made.outcome, "differs": differs}


def _scenario(
    setting: Mapping[str, Any], faults: list[dict[str, Any]], folder: Path
) -> dict[str, Any]:
    lines = ["arrival_s,isl,osl", f"0,{setting['prompt_tokens']},4"]
    if setting["event"] == "stall":  # somebody takes what is given up
        lines += [f"{(1.5 + 0.1 * n) * setting['lease_s']},1920,1" for n in range(3)]
    (folder / "trace.csv").write_text("\n".join(lines) + "\n")
    pools = {}
    for index, name in enumerate(("prefill", "decode")):
        path = folder / f"{name}.yaml"
        source = '"set in the scene"'
        path.write_text(
            f"base: {PRESET}\nname: {PRESET}\ntitle: a scene\n"
            f"page_tokens: {setting['page'][index]}\nsources: {{page_tokens: {source}}}\n"
        )
        pools[name] = {
            **_pool(setting["tp"][index]),
            "role": name,
            "runtime": path.name,
            "estimator": {"kind": "constant", **_PACE, "blocks": _pages(setting, index)},
        }
    return {
        "name": "a scene",
        "model": str(folder / "model.json"),
        "workload": {"kind": "trace", "path": "trace.csv"},
        "pools": pools,
        "network": {"fabric": "direct", "link": "8 GB/s", "efficiency": 1.0, "latency": "0 s"},
        "boundary": {"lease": f"{setting['lease_s']} s", "on_error": setting["policy"]},
        "slo": {"ttft": "60 s", "tpot": "10 s"},
        "faults": faults,
    }


def _pages(setting: Mapping[str, Any], index: int) -> int:
    """Return the blocks of an engine: as many tokens, whatever a block holds."""
    return int(BLOCKS * PAGE // setting["page"][index])


def _outcome(row: Any, moves: Any, event: str) -> str | None:
    if event == "nobody":
        return None
    if row.status == "finished":
        if row.corrupt:
            return "served_wrong"
        mended = moves[(moves.block_set == "Ds") & moves.cause.str.startswith("failed")]
        return "recomputed" if len(mended) else "served"
    return "died" if row.reason == "decode_crash" else "failed"


def _release(moves: Any) -> dict[str, Any]:
    """Return what made P give its blocks up, and how long after the prefill."""
    mine = moves[moves.block_set == "Ps"]
    held, free = mine[mine.state_to == "leased"], mine[mine.state_to == "free"]
    if not len(free) or not len(held):
        lost = len(mine[mine.state_to == "lost"]) > 0
        return {"freed_by": None if lost else "nothing", "freed_after_s": None}
    cause = {"notice:done": "notice", "timer:lease": "lease"}.get(free.cause.iloc[0], "other")
    return {
        "freed_by": cause,
        "freed_after_s": round(float(free.time_s.iloc[0] - held.time_s.iloc[0]), 2),
    }


def judge(observed: Mapping[str, Any], predicted: Mapping[str, Any] | None) -> list[str] | None:
    """Return in what a scene differs from what was predicted; None where that is not judged.

    Only causes and times of the protocol are compared; a time agrees if it lies between the last
    look at held blocks and the first at free ones, a second of grace beside.

    >>> seen = {"outcome": "died", "freed_by": "lease", "between_s": [6.1, 6.4]}
    >>> judge(seen, {"outcome": "died", "freed_by": "lease", "freed_after_s": 6.0})
    []
    >>> judge({**seen, "freed_by": "notice"}, {"outcome": "died", "freed_by": "lease"})
    ['freed by: notice, not lease']
    """
    if predicted is None or "outcome" not in predicted or observed["outcome"] == "not started":
        return None
    wrong = []
    for name in ("outcome", "freed_by", "held_blocks"):
        seen, said = observed.get(name), predicted.get(name)
        if seen is not None and said is not None and seen != said:
            wrong.append(f"{name.replace('_', ' ')}: {seen}, not {said}")
    between, said_s = observed.get("between_s"), predicted.get("freed_after_s")
    if (
        between
        and said_s is not None
        and observed["freed_by"] == predicted["freed_by"] == "lease"
        and not between[0] - _LATE_S <= said_s <= between[1] + _LATE_S
    ):
        wrong.append(f"freed after {between[0]} to {between[1]} s, not {said_s} s")
    return wrong
