"""A directory of files that is whole or absent."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from hetsim.errors import Problem, ScenarioError

__all__ = ["MARK", "check_free", "write_directory"]

MARK = "export.json"
"""The file by which a directory is known as ours, and may be overwritten."""


def check_free(path: Path, overwrite: bool) -> None:
    """Refuse a place that is taken.

    Raises
    ------
    ScenarioError
        If something is there and ``overwrite`` is false, or it is no directory of ours.
    """
    shown = str(path)
    try:
        if path.exists() and not path.is_dir():
            raise ScenarioError(Problem("is a file; give a folder for --out", "", shown))
        if not path.is_dir() or not any(path.iterdir()):
            return
        ours = (path / MARK).is_file()
    except (OSError, ValueError) as error:
        raise _unwritable(shown, error) from None
    if not overwrite:
        message = "exists and is not empty; use --overwrite or another --out"
        raise ScenarioError(Problem(message, "", shown))
    if not ours:
        message = "was not written by hetsim export, and is not overwritten; use another --out"
        raise ScenarioError(Problem(message, "", shown))


def write_directory(path: Path, files: Mapping[str, str], overwrite: bool = False) -> None:
    """Write ``files`` beside the final name and move them there at the end; scripts can be run.

    Raises
    ------
    ScenarioError
        If the place is taken (see :func:`check_free`) or cannot be written.
    """
    check_free(path, overwrite)
    final, temporary = path.resolve(), None
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{final.name}.", dir=final.parent))
        for name, text in files.items():
            file = temporary / name
            file.write_text(text, encoding="utf-8")
            file.chmod(0o755 if name.endswith(".sh") else 0o644)
        temporary.chmod(0o755)
        _publish(temporary, final)
    except OSError as error:
        raise _unwritable(str(path), error) from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: Path, final: Path) -> None:
    if not final.exists():
        os.replace(temporary, final)
        return
    # The old one steps aside and is deleted only when the new one has its name.
    old = temporary.with_name(temporary.name + ".old")
    os.replace(final, old)
    os.replace(temporary, final)
    shutil.rmtree(old, ignore_errors=True)


def _unwritable(shown: str, error: Exception) -> ScenarioError:
    why = getattr(error, "strerror", None) or str(error)
    return ScenarioError(Problem(f"cannot be written: {why}", "", shown))
