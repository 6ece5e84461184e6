"""``hetsim calibrate links``: the links of this machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hetsim.cli._calibrate import calibrate
from hetsim.cli._measure import Date, Many, Out, folder_of, kept, today
from hetsim.cli._options import Json

__all__: list[str] = []


@calibrate.command("links", short_help="Time and fit the links of this machine.")
def links(
    kind: Annotated[
        Many,
        typer.Option(
            metavar="NAME",
            help="Only this kind of link: disk, host_device, nixl, shared_memory or tcp; may "
            "repeat.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="About two minutes.")] = False,
    device: Annotated[
        str, typer.Option(metavar="NAME", help="auto, or a back end such as cuda.")
    ] = "auto",
    out: Out = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Do not go on with an interrupted measurement.")
    ] = False,
    date: Date = None,
    json: Json = False,
) -> None:
    """Time the links of this machine by size and number of pieces, and fit them."""
    from dataclasses import replace

    from hetsim.calibrate.links import LinkOptions, fit_links, measure_links
    from hetsim.cli._progress import Progress, note

    options = LinkOptions.quickly() if quick else LinkOptions()
    options = replace(options, kinds=tuple(kind or ()))
    folder = folder_of(out, _device_here())
    with Progress() as tell:
        try:
            report = measure_links(
                folder,
                date=date or today(),
                options=options,
                device=device,
                fresh=fresh,
                tell=tell,
            )
        except KeyboardInterrupt:
            kept(folder)
    for name, why in report.unavailable.items():
        note(f"{name} left out: {why}")
    if report.moved:
        note(f"{len(report.moved)} of {report.rounds} rounds moved; their samples are left out")
    _show_links(report, fit_links([report.samples], out=folder), json)


def _show_links(report: Any, fits: Any, json: bool) -> None:
    from dataclasses import asdict

    from hetsim.cli._page import Page, print_json

    if json:
        print_json({"samples": str(report.samples), "links": [asdict(made) for made in fits]})
        return
    page = Page()
    cells = [
        [
            f"{made.kind} {made.op}",
            f"{made.t0_s * 1e6:.3g} us",
            f"{made.s_per_piece * 1e6:.3g} us",
            f"{1e-9 / made.s_per_byte:.3g}",
            f"{1e-9 / made.s_per_byte_beyond:.3g}",
            f"{made.median_error_ratio:.0%}",
        ]
        for made in fits
    ]
    columns = ("link", "base", "per piece", "GB/s", "GB/s, large", "error")
    page.table("links of this machine", columns, cells)
    page.items("written", [str(report.samples), str(report.samples.parent / "links")])
    page.show()


def _device_here() -> str:
    """Return the name of the device at hand; without torch it is the CPU."""
    from hetsim.calibrate.measure import cpu_slug, open_device
    from hetsim.errors import ScenarioError

    try:
        return open_device(pin=False).slug
    except ScenarioError:
        return cpu_slug(1)
