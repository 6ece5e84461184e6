"""Pages that are made from the program itself, so that they cannot be out of date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import pages  # noqa: E402  (beside this file, which mkdocs loads by its path)


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to those on disk."""
    for path, make in pages.PAGES.items():
        files.append(File.generated(config, path, content=make()))
    return files
