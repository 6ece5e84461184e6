"""Where the data rooms lie: inside an installed wheel, or at the top of a checkout."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


@lru_cache(maxsize=8)
def data_root(room: str) -> Path:
    """Return the folder of ``room`` (``hardware_profiles``, ``calibration`` or ``scenarios``).

    Raises
    ------
    FileNotFoundError
        If neither place holds it, which means that the installation is broken.
    """
    for base in (_PACKAGE / "_data", _PACKAGE.parent):
        if (base / room).is_dir():
            return base / room
    raise FileNotFoundError(f"hetsim's data folder {room!r} is missing; reinstall the package")
