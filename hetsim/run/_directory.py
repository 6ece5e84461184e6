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
        If something is there already and ``overwrite`` is false, or the place cannot be written.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        self.path = path
        self.overwrite = overwrite
        if path.exists() and not path.is_dir():
            raise ScenarioError(Problem("is a file; give a folder for --out", "", str(path)))
        if path.exists() and any(path.iterdir()) and not overwrite:
            raise ScenarioError(
                Problem("exists and is not empty; use --overwrite or another --out", "", str(path))
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            made = tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        except OSError as error:
            raise ScenarioError(
                Problem(f"cannot be written: {error.strerror}", "", str(path))
            ) from None
        self.temporary = Path(made)

    def write(self, result: Result) -> None:
        """Add the small files and give the directory its name."""
        folder = self.temporary
        (folder / "summary.json").write_text(result.to_json() + "\n", encoding="utf-8")
        text = json.dumps(plain(result.manifest), indent=2, ensure_ascii=False)
        (folder / "manifest.json").write_text(text + "\n", encoding="utf-8")
        (folder / "scenario.resolved.yaml").write_text(result.scenario_yaml, encoding="utf-8")
        os.chmod(folder, 0o755)
        if self.path.exists():
            if any(self.path.iterdir()) and not self.overwrite:
                raise ScenarioError(Problem("was filled while this ran", "", str(self.path)))
            shutil.rmtree(self.path)
        os.replace(folder, self.path)
        result.move_to(self.path)

    def abandon(self) -> None:
        """Leave nothing."""
        shutil.rmtree(self.temporary, ignore_errors=True)
