"""Which pairs of device and model the engines' constants were fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from hetsim.spec import data_root

__all__ = ["fitted_pairs"]


@lru_cache(maxsize=1)
def fitted_pairs() -> Mapping[str, int]:
    """Return the number of rows in the fit by pair, from ``calibration/engines.yaml``."""
    from hetsim.spec._yaml import read_yaml

    path = data_root("calibration") / "engines.yaml"
    data = read_yaml(path)[0] if path.is_file() else {}
    return {str(pair): int(count) for pair, count in (data.get("rows_in_fit") or {}).items()}
