"""Reading of comma-separated tables with the errors that users can act on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hetsim.errors import Problem, ScenarioError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["folder_of", "read_csv"]


def folder_of(root: Path | None, name: str, source: str) -> Path:
    """Return ``root/name``, or ``root`` itself if it has no such folder.

    Raises
    ------
    ScenarioError
        If no root was given or it is no folder.
    """
    if root is None or not root.is_dir():
        raise ScenarioError(Problem(f"{source} is not in a package; give the folder of its tables"))
    return root / name if (root / name).is_dir() else root


def read_csv(path: Path, *needed: str, names: list[str] | None = None) -> pd.DataFrame:
    """Return the table in ``path``.

    Raises
    ------
    ScenarioError
        If the file is missing or unreadable, or lacks one of the ``needed`` columns.
    """
    import pandas as pd

    try:
        table = pd.read_csv(path, names=names, skipinitialspace=True)
    except (OSError, ValueError) as error:
        raise ScenarioError(Problem(f"cannot be read: {error}", "", str(path))) from None
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise ScenarioError([Problem(f"column {m!r} is missing", "", str(path)) for m in missing])
    return table
