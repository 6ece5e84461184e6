"""``hetsim calibrate loop``: measure, fit, predict, run for real, compare."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from hetsim.cli._calibrate import calibrate
from hetsim.cli._options import Json

__all__ = ["INCONCLUSIVE", "MISSED"]

MISSED = 5
"""Exit code where a target was missed on good rounds, or the text differed."""
INCONCLUSIVE = 6
"""Exit code where too few rounds were good to say anything."""


@calibrate.command("loop", short_help="Predict a small transformer, run it for real, compare.")
def loop(
    date: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it at run time
        typer.Option(metavar="YYYY-MM-DD", help="Date of the record; else today."),
    ] = None,
    out: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="DIR", help="Folder of records; left out: nothing is written."),
    ] = None,
    page: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="FILE", help="Page whose closed-loop section is written anew."),
    ] = None,
    size: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            metavar="NAME", help="Size of the transformer: tiny, 30m, 90m or 200m; may repeat."
        ),
    ] = None,
    fmt: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--format", metavar="NAME", help="bf16 or fp32; may repeat."),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One size, three rounds.")] = False,
    real: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="ENGINE",
            help="vllm: play scenes on a real pair instead, some minutes on two quiet cores.",
        ),
    ] = None,
    scene: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="NAME", help="With --real: only this scene; may repeat."),
    ] = None,
    interpreter: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="PYTHON", help="Python that has the engine; else this one."),
    ] = None,
    json: Json = False,
) -> None:
    """Measure kernels, fit, predict, then really run a small transformer, and compare.

    A prefill process and a decode process on this machine hand over real KV. Exit codes: 0 all
    targets met; 5 a target missed; 6 inconclusive: the machine was too noisy to tell.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from hetsim.calibrate.loop import LoopOptions, run_loop
    from hetsim.cli._progress import note

    date = date or _today()
    if real is not None:
        _real(real, interpreter or _this_python(), tuple(scene or ()), date, (out, page), json=json)
        return
    wanted: dict[str, Any] = {}
    if size:
        wanted["sizes"] = tuple(size)
    if fmt:
        wanted["formats"] = tuple(fmt)
    options = LoopOptions.quickly(**wanted) if quick else LoopOptions(**wanted)
    _finish(run_loop(options, date=date, tell=note), out, page, json=json)


def _finish(record: dict[str, Any], out: str | None, page: str | None, *, json: bool) -> None:
    """Write, show, and leave with the exit code of the verdict."""
    from hetsim.cli._page import print_json

    _keep(record, out, page)
    if json:
        print_json(record)
    else:
        _show(record)
    if record["verdict"] != "good":
        raise typer.Exit(MISSED if record["verdict"] == "missed" else INCONCLUSIVE)


def _today() -> str:
    from datetime import date

    return date.today().isoformat()


def _this_python() -> str:
    import sys

    return sys.executable


def _real(
    engine: str,
    interpreter: str,
    scenes: tuple[str, ...],
    date: str,
    to: tuple[str | None, str | None],
    *,
    json: bool,
) -> None:
    """Play scenes on a black-box pair and show them beside what the preset says."""
    from hetsim.calibrate.loop import write_record
    from hetsim.calibrate.loop.real import SCENES, play
    from hetsim.cli._page import print_json
    from hetsim.cli._progress import note
    from hetsim.errors import Problem, ScenarioError

    if engine != "vllm":
        raise ScenarioError(Problem(f"no engine {engine!r}; allowed: vllm", "--real"))
    out, page = to
    head = {"schema": 2, "date": date}
    path = Path(out) / f"{engine}-{date}.json" if out is not None else None
    done = _played(path)
    if done is not None:
        note(f"{path} has scenes already; only the others are played (all, once it is removed)")

    def keep(found: dict[str, Any]) -> None:
        if path is not None:
            note(f"so far in {write_record(path, {**head, **found})}")

    record = {**head, **play(interpreter, scenes or tuple(SCENES), note, keep, done)}
    _publish_scenes(record, page)
    if json:
        print_json(record)
        return
    _show_scenes(record)


def _played(path: Path | None) -> dict[str, Any] | None:
    """Return the record of an earlier, perhaps interrupted, call."""
    from json import loads

    if path is None or not path.is_file():
        return None
    found: dict[str, Any] = loads(path.read_text(encoding="utf-8"))
    return found if found.get("schema") == 2 else None


def _publish_scenes(record: dict[str, Any], page: str | None) -> None:
    from hetsim.calibrate import publish
    from hetsim.calibrate.loop.real import real_page_with, real_table_text
    from hetsim.cli._progress import note

    if page is None:
        return
    path = Path(page)
    old = path.read_text(encoding="utf-8") if path.is_file() else ""
    publish(path, real_page_with(old, real_table_text(record)))
    note(f"section written to {path}")


def _show_scenes(record: dict[str, Any]) -> None:
    from hetsim.cli._page import Page

    def words(found: dict[str, Any]) -> str:
        parts = [(name.replace("_", " "), value) for name, value in found.items()]
        return "; ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in parts
            if value is not None
        )

    page = Page()
    page.title(f"vLLM {record['versions'].get('vllm')} beside {record['preset']}")
    for row in record["scenes"]:
        wrong = row["differs"]
        said = "" if wrong is None else f": NOT as predicted ({'; '.join(wrong)})"
        page.title(row["scene"] + (": as predicted" if wrong == [] else said))
        page.pairs([("seen", words(row["observed"]))])
        if row["predicted"] is not None:
            page.pairs([("preset", words(row["predicted"]))])
    page.show()


def _keep(record: dict[str, Any], out: str | None, page: str | None) -> None:
    from hetsim.calibrate import publish
    from hetsim.calibrate.loop import free_path, page_with, table_text, write_record
    from hetsim.cli._progress import note

    if out is not None:
        kept = write_record(free_path(Path(out), record["date"]), record)
        note(f"record written to {kept}")
    if page is not None:
        path = Path(page)
        old = path.read_text(encoding="utf-8") if path.is_file() else ""
        publish(path, page_with(old, table_text(record)))
        note(f"section written to {path}")


def _show(record: dict[str, Any]) -> None:
    from hetsim.cli._page import Page

    page = Page()
    page.table(
        "Targets: median error of what hetsim predicted",
        ("target", "clock", "limit", "median", "worst", "rows", "verdict"),
        [_target(target) for target in record["targets"]],
        left=2,
    )
    page.table(
        "Errors by size and format",
        ("group", "quantity", "rows", "median", "worst", "bias", "spread"),
        [_group(group) for group in record["groups"]["size and format"]],
        left=2,
    )
    page.table(
        "Errors by conversion",
        ("group", "quantity", "rows", "median", "worst", "bias", "spread"),
        [_group(group) for group in record["groups"]["conversion"]],
        left=2,
    )
    rounds, tokens = record["rounds"], record["tokens"]
    page.line("")
    page.line(
        f"{len(rounds)} rounds, good on the CPU clock "
        f"{sum(one['good_cpu'] for one in rounds)}, on the wall clock "
        f"{sum(one['good_wall'] for one in rounds)}; text as in one process in "
        f"{tokens['same']} of {tokens['checked']} cases"
    )
    page.line(f"verdict: {record['verdict']}", "bold")
    page.show()


def _target(target: dict[str, Any]) -> list[str]:
    def shown(value: float | None) -> str:
        if value is None:
            return "-"
        return f"{value * 1e3:.2f} ms" if target["unit"] == "s" else f"{value:.1%}"

    return [
        *(target["target"], target["clock"], shown(target["limit"])),
        *(shown(target["median_error"]), shown(target["worst_error"])),
        *(str(target["rows"]), target["verdict"]),
    ]


def _group(group: dict[str, Any]) -> list[str]:
    return [
        *(group["key"], group["quantity"].replace("_", " "), str(group["rows"])),
        *(f"{group[name]:.1%}" for name in ("median_error", "worst_error")),
        *(f"{group['bias']:+.1%}", f"{group['spread']:.1%}"),
    ]
