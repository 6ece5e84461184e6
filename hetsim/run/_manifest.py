"""How a result was made: hashes, seed, versions."""

from __future__ import annotations

import hashlib
import platform
import sys
from typing import Any

from hetsim._version import MODEL_VERSION, __version__
from hetsim.scenario import Loaded

__all__ = ["manifest"]


def manifest(loaded: Loaded, resolved: str, summary: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a run."""
    import numpy
    import pyarrow
    import simpy

    return {
        "name": loaded.scenario.name,
        "scenario_sha256": hashlib.sha256(resolved.encode()).hexdigest(),
        "seed": loaded.scenario.seed,
        "hetsim_version": __version__,
        "model_version": MODEL_VERSION,
        "python": sys.version.split()[0],
        "platform": platform.machine(),
        "libraries": {
            "numpy": numpy.__version__,
            "pyarrow": pyarrow.__version__,
            "simpy": simpy.__version__,
        },
        "calibration_grade": summary["calibration_grade"],
        "wall_s": summary["wall_s"],
    }
