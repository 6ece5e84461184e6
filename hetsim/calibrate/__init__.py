"""Measurements to efficiency files: other people's kernel tables today, one's own device next.

Read ``_forms.py`` first (the equations), then ``_models.py`` (what is fitted per kind), ``_fit.py``
(how, and how errors are stated), ``_table.py`` (what is cleaned away). ``adapters/`` holds one
reader per source; a new source is one file there. ``import_tables`` does it all and writes
``calibration/<accelerator>/<date>.yaml`` and ``calibration/KERNELS.md``.
"""

from hetsim.calibrate._device import CollectiveFit, DeviceFit, OperatorFit, fit_device
from hetsim.calibrate._fit import Fitted
from hetsim.calibrate._import import ImportReport, import_tables, read_tables
from hetsim.calibrate.adapters import adapter_names, get_adapter

__all__ = [
    "CollectiveFit",
    "DeviceFit",
    "Fitted",
    "ImportReport",
    "OperatorFit",
    "adapter_names",
    "fit_device",
    "get_adapter",
    "import_tables",
    "read_tables",
]
