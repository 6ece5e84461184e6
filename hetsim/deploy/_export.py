"""From a design to a directory that starts it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hetsim._version import __version__
from hetsim.deploy._design import Design, load_design
from hetsim.deploy._directory import MARK, check_free, write_directory
from hetsim.deploy._gaps import gaps
from hetsim.deploy._readme import readme
from hetsim.deploy._script import json_text
from hetsim.deploy.targets import get_target
from hetsim.scenario import Loaded, resolved_yaml
from hetsim.spec import spec

__all__ = ["Export", "export", "export_design"]


@spec
class Export:
    """The files of a deployment, and what they do not do."""

    target: str
    title: str
    files: dict[str, str]
    gaps: tuple[Any, ...]
    """:class:`Gap`: field, what is asked, what the runtime does."""

    def data(self) -> dict[str, Any]:
        """Return plain data."""
        rows = [{"field": gap.field, "asks": gap.asks, "does": gap.does} for gap in self.gaps]
        return {
            "target": self.target,
            "runtime": self.title,
            "hetsim": __version__,
            "files": sorted(self.files),
            "cannot": rows,
        }


def export_design(loaded: Loaded, to: str) -> Export:
    """Return the files that start a design on a runtime; nothing is written.

    Raises
    ------
    ScenarioError
        If there is no such target, or the scenario is wrong.
    InfeasibleError
        If the design cannot run.
    """
    target, design = get_target(to), Design(loaded)
    can = target.abilities(design)
    found = tuple(dict.fromkeys(gaps(design, can)))
    files = {
        **target.files(design),
        "scenario.resolved.yaml": resolved_yaml(loaded, design.plan),
        "README.md": readme(design, can, found, target.notes(design)),
    }
    made = Export(target=to, title=can.title, files=files, gaps=found)
    mark = Export(target=to, title=can.title, files={**files, MARK: ""}, gaps=found)
    files[MARK] = json_text(mark.data())
    return made


def export(
    scenario: str | Path | Loaded, to: str, out: str | Path | None = None, overwrite: bool = False
) -> Export:
    """Export a scenario or run directory; with ``out``, write the directory, whole or not at all.

    Raises
    ------
    ScenarioError
        If the input is wrong, or the place is taken.
    InfeasibleError
        If the design cannot run.
    """
    get_target(to)
    if out is not None:
        check_free(Path(out), overwrite)
    loaded = scenario if isinstance(scenario, Loaded) else load_design(scenario)
    made = export_design(loaded, to)
    if out is not None:
        write_directory(Path(out), made.files, overwrite)
    return made
