"""Import of kernel tables: read, clean, fit, publish. The commands and the notebooks call this."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hetsim.calibrate._device import DeviceFit, fit_device
from hetsim.calibrate._nominal import nominal_of
from hetsim.calibrate._write import calibration_text, page_text, publish
from hetsim.calibrate.adapters import get_adapter
from hetsim.errors import Problem, ScenarioError
from hetsim.spec import spec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ImportReport", "import_tables", "read_tables"]


@spec
class ImportReport:
    """What an import read, fitted and wrote."""

    adapters: tuple[str, ...]
    fits: tuple[DeviceFit, ...]
    files: tuple[Path, ...]
    """Calibration files, one per device."""
    changed: tuple[Path, ...]
    """Those files that differ from before, and the page if it does."""


def read_tables(
    adapters: Sequence[str], accelerator: str, roots: Mapping[str, Path] | None = None
) -> tuple[list[pd.DataFrame], str]:
    """Return the frames of all adapters that know ``accelerator``, and their sources in words.

    Raises
    ------
    ScenarioError
        If none of them knows the device, or a table is malformed.
    """
    frames: list[pd.DataFrame] = []
    sources: list[str] = []
    for name in adapters:
        adapter = get_adapter(name)
        if accelerator in adapter.DEVICES:
            frames += adapter.read(accelerator, (roots or {}).get(name))
            sources.append(adapter.SOURCE)
    if not sources:
        named = ", ".join(adapters)
        raise ScenarioError(Problem(f"no table of {accelerator!r} in: {named}"))
    return frames, "; ".join(sources)


def import_tables(
    adapters: Sequence[str] | str,
    *,
    out: Path,
    date: str,
    accelerators: Sequence[str] | None = None,
    roots: Mapping[str, Path] | None = None,
) -> ImportReport:
    """Fit kernel tables and write ``<out>/<accelerator>/<date>.yaml`` and ``<out>/KERNELS.md``.

    ``accelerators`` defaults to all that any adapter knows; ``roots`` gives folders to adapters
    whose tables are not in an installed package. Running it twice changes nothing. A device of
    which nothing was measured has no file. Nothing is written before every device is fitted; each
    file appears whole.

    Raises
    ------
    ScenarioError
        If a device, a file or a column is missing, or ``date`` is not ``YYYY-MM-DD``.
    """
    names = (adapters,) if isinstance(adapters, str) else tuple(adapters)
    _check_date(date)
    wanted = accelerators or sorted({d for name in names for d in get_adapter(name).DEVICES})
    fits: list[DeviceFit] = []
    texts: dict[Path, str] = {}
    sources: dict[str, str] = {}
    for accelerator in wanted:
        frames, source = read_tables(names, accelerator, roots)
        fit = fit_device(nominal_of(accelerator), frames)
        if not (fit.operators or fit.collectives):
            continue  # nothing was measured on it: its file would say nothing, and hide a relative
        provider = _provider(names, accelerator)
        texts[out / accelerator / f"{date}.yaml"] = calibration_text(fit, date, provider, source)
        fits.append(fit)
        sources[accelerator] = source
    changed = [path for path, text in texts.items() if publish(path, text)]
    page = out / "KERNELS.md"
    old = page.read_text(encoding="utf-8") if page.is_file() else ""
    if publish(page, page_text(old, tuple(fits), sources)):
        changed.append(page)
    return ImportReport(
        adapters=names, fits=tuple(fits), files=tuple(texts), changed=tuple(changed)
    )


def _provider(names: Sequence[str], accelerator: str) -> str:
    said = [get_adapter(n).PROVIDER for n in names if accelerator in get_adapter(n).DEVICES]
    return "; ".join(dict.fromkeys(said))


def _check_date(date: str) -> None:
    import re

    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date):
        raise ScenarioError(Problem(f"{date!r} is not a date; write for example '2026-11-24'"))
