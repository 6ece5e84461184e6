"""``hetsim calibrate measure`` and ``fit``: the device at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NoReturn, Optional

import typer

from hetsim.cli._calibrate import calibrate
from hetsim.cli._options import Json

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Date", "Many", "Out", "folder_of", "kept", "today"]

Out = Annotated[
    Optional[str],  # noqa: UP045 - typer reads it at run time
    typer.Option(metavar="DIR", help="Folder; else calibration/<device>."),
]
Date = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="YYYY-MM-DD", help="Date in the names of files; else today."),
]
Many = Optional[list[str]]  # noqa: UP045


@calibrate.command("measure", short_help="Time real kernels on the device at hand; resumes.")
def measure(
    device: Annotated[
        str, typer.Option(metavar="NAME", help="auto, cpu, or a back end such as cuda.")
    ] = "auto",
    quick: Annotated[bool, typer.Option("--quick", help="Less than three minutes.")] = False,
    out: Out = None,
    threads: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(metavar="N", help="Threads of a CPU, each on its core; else 1."),
    ] = None,
    family: Annotated[
        Many,
        typer.Option(
            metavar="NAME",
            help="Only this kernel family: attention_decode, attention_prefill, bandwidth, "
            "collectives, convert, decoder, elementwise, gemm, grouped_gemm, host_copy, launch, "
            "permute or sample; may repeat.",
        ),
    ] = None,
    fmt: Annotated[
        Many,
        typer.Option(
            "--format",
            metavar="NAME",
            help="Only this format: bf16, fp16, fp32, tf32, fp8_e4m3, int8, bf16_w_int4 or "
            "bf16_w_int8; a conversion such as bf16_to_fp8_e4m3; pinned or pageable; may repeat.",
        ),
    ] = None,
    rounds: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(metavar="N", help="How often every point is visited.", min=1),
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not go on with an interrupted measurement.")
    ] = False,
    date: Date = None,
    json: Json = False,
) -> None:
    """Time real kernels on the device at hand; interrupted, the same command goes on."""
    from dataclasses import replace

    from hetsim.calibrate.measure import Options, open_device
    from hetsim.calibrate.measure import measure as run
    from hetsim.cli._progress import Progress

    options = Options.quickly() if quick else Options()
    options = replace(options, families=tuple(family or ()), formats=tuple(fmt or ()))
    if rounds is not None:
        options = replace(options, rounds=rounds)
    opened = open_device(device, threads=threads)
    folder = folder_of(out, opened.slug)
    with Progress() as tell:
        try:
            report = run(
                folder,
                date=date or today(),
                device=opened,
                options=options,
                fresh=fresh,
                tell=tell,
            )
        except KeyboardInterrupt:
            kept(folder)
    _show_measured(report, json)


def _show_measured(report: Any, json: bool) -> None:
    from hetsim.cli._page import Page, print_json

    left_out = sum(report.left_out.values())
    facts = {
        "device": report.device,
        "samples": str(report.samples),
        "manifest": str(report.manifest),
        "profile": str(report.profile) if report.profile else None,
        "points": report.points,
        "readings": report.readings,
        "left_out": report.left_out,
        "unavailable": report.unavailable,
        "rounds": report.rounds,
        "moved_rounds": list(report.moved),
        "verdict": report.verdict,
    }
    if json:
        print_json(facts)
        return
    page = Page()
    page.table(
        f"{report.device}: {report.verdict}",
        ("what", "value"),
        [
            ["points, readings", f"{report.points}, {report.readings}"],
            ["rounds, of them moved", f"{report.rounds}, {len(report.moved)}"],
            ["points left out", f"{left_out}"],
            ["kernels not there", f"{len(report.unavailable)}"],
            ["samples", str(report.samples)],
            *([["profile written", str(report.profile)]] if report.profile else []),
        ],
    )
    page.items("left out", [f"{count} points {why}" for why, count in report.left_out.items()])
    page.items("not there", [f"{name}: {why}" for name, why in report.unavailable.items()])
    page.show()


@calibrate.command("fit", short_help="Fit samples to a calibration; errors on held-back shapes.")
def fit(
    samples: Annotated[
        list[str], typer.Argument(metavar="SAMPLES", help="Files of samples, or their folder.")
    ],
    out: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="DIR", help="Folder of the calibration; else that of the samples."),
    ] = None,
    provider: Annotated[str, typer.Option(help="Whose kernels the calibration is of.")] = "torch",
    accelerator: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="NAME", help="Profile of the device; else the one measured."),
    ] = None,
    plot: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="DIR", help="Draw the residuals there."),
    ] = None,
    date: Date = None,
    json: Json = False,
) -> None:
    """Fit samples to the calibration of their device, with errors on held-back shapes."""
    from pathlib import Path

    from hetsim.calibrate import fit_samples

    made = fit_samples(
        [Path(name) for name in samples],
        out=Path(out) if out else None,
        date=date,
        provider=provider,
        accelerator=accelerator,
        plot=Path(plot) if plot else None,
    )
    _show_fit(made, json)


def _show_fit(made: Any, json: bool) -> None:
    from hetsim.cli._page import Page, print_json

    rows = [
        {
            "kind": kernel.kind,
            "format": kernel.format,
            "provider": kernel.provider,
            "points": kernel.read,
            "form": kernel.form,
            "median_error_ratio": kernel.error[0] if kernel.error else None,
            "p90_error_ratio": kernel.error[1] if kernel.error else None,
            "by_rows": kernel.regimes,
            "left_out": kernel.dropped,
        }
        for kernel in made.kernels
    ]
    missed = made.missed()
    if json:
        print_json(
            {
                "device": made.device,
                "calibration": str(made.path),
                "verdict": made.verdict,
                "missed": missed,
                "kernels": rows,
            }
        )
        return
    page = Page()
    cells = [
        [
            f"{row['kind']} {row['format']}",
            row["provider"],
            f"{row['points']}",
            row["form"],
            _percent(row["median_error_ratio"]),
            _percent(row["p90_error_ratio"]),
        ]
        for row in rows
    ]
    columns = ("kernel", "provider", "points", "form", "held back", "90 %")
    page.table(f"{made.device}: error on held-back shapes ({made.verdict})", columns, cells)
    page.items("missed", missed)
    page.items("written", [str(path) for path in made.files])
    page.show()


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def folder_of(out: str | None, slug: str) -> Path:
    """Return the folder that was stated, or that of the device."""
    from pathlib import Path

    return Path(out) if out else Path("calibration") / slug


def today() -> str:
    """Return the date that files get unless one is stated."""
    from datetime import date

    return date.today().isoformat()


def kept(folder: Path) -> NoReturn:
    """Say that nothing is lost, and end as interrupted."""
    from hetsim.cli._progress import note

    note(f"interrupted; what was measured is kept in {folder}; the same command goes on")
    raise typer.Exit(130)
