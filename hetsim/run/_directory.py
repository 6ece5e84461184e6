"""A run directory: whole or absent."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from hetsim.errors import Problem, ScenarioError
from hetsim.run._result import Result, plain

__all__ = ["RunDirectory"]


class RunDirectory:
    """Writes beside its final name and moves there at the end.

    Raises
    ------
    ScenarioError
        If something is there already and ``overwrite`` is false, if what is there is no run
        directory (it is not ours to delete), or if the place cannot be written.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        self._made: list[Path] = []
        self._shown = str(path)
        try:
            self.path = path.resolve()
            self._look(overwrite)
            self._make_parents(self.path.parent)
            made = tempfile.mkdtemp(
                prefix=f".{self.path.name}.", suffix=".partial", dir=self.path.parent
            )
        except (OSError, ValueError) as error:
            self._remove_parents()
            why = getattr(error, "strerror", None) or str(error)
            raise self._problem(f"cannot be written: {why}") from None
        self.temporary = Path(made)
        self.overwrite = overwrite

    def _problem(self, message: str) -> ScenarioError:
        return ScenarioError(Problem(message, "", self._shown))

    def _look(self, overwrite: bool) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise self._problem("is a file; give a folder for --out")
        if not self._is_full():
            return
        if not overwrite:
            raise self._problem("exists and is not empty; use --overwrite or another --out")
        if not (self.path / "manifest.json").is_file():
            raise self._problem("is not a run directory, and is not overwritten; use another --out")

    def _is_full(self) -> bool:
        return self.path.is_dir() and any(self.path.iterdir())

    def _make_parents(self, parent: Path) -> None:
        missing = [place for place in (parent, *parent.parents) if not place.exists()]
        for place in reversed(missing):
            place.mkdir()
            self._made.append(place)

    def _remove_parents(self) -> None:
        for place in reversed(self._made):
            try:
                place.rmdir()
            except OSError:
                return

    def write(self, result: Result, embedded: str = "") -> None:
        """Add the small files and give the directory its name.

        ``embedded`` follows the scenario in its file: what the run took from the catalogue.
        """
        folder = self.temporary
        (folder / "summary.json").write_text(result.to_json() + "\n", encoding="utf-8")
        text = json.dumps(plain(result.manifest), indent=2, ensure_ascii=False)
        (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
        text = result.scenario_yaml + embedded
        (folder / "scenario.resolved.yaml").write_text(text, encoding="utf-8")
        os.chmod(folder, 0o755)
        if self._is_full() and not self.overwrite:
            raise self._problem("was filled while this ran")
        self._publish(folder)
        result.move_to(self.path)

    def _publish(self, folder: Path) -> None:
        if not self.path.exists():
            os.replace(folder, self.path)
            return
        # The old one steps aside and is deleted only when the new one has its name.
        old = folder.with_name(folder.name + ".old")
        os.replace(self.path, old)
        os.replace(folder, self.path)
        shutil.rmtree(old, ignore_errors=True)

    def abandon(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self.temporary, ignore_errors=True)
        self._remove_parents()
