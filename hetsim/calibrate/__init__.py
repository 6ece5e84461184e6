"""Measurements to efficiency files: other people's kernel tables today, one's own device next.

Read ``_forms.py`` first (the equations), then ``_models.py`` (what is fitted per kind), ``_fit.py``
(how, and how errors are stated), ``_table.py`` (what is cleaned away). ``adapters/`` holds one
reader per source; a new source is one file there. ``import_tables`` does it all and writes
``calibration/<accelerator>/<date>.yaml`` and ``calibration/KERNELS.md``. ``_leave_out.py`` says
what a calibration is worth that was taken from a relative. ``measure/`` times kernels here, and
``_fit_samples.py`` fits them; ``links/`` does both for links. ``loop/`` runs a real prefill-decode
pair and holds hetsim against it.
"""

from hetsim.calibrate._device import CollectiveFit, DeviceFit, OperatorFit, fit_device
from hetsim.calibrate._fit import Fitted
from hetsim.calibrate._fit_samples import MeasuredFit, fit_samples
from hetsim.calibrate._import import ImportReport, import_tables, read_tables
from hetsim.calibrate._leave_out import LeftOut, leave_out, leave_out_page, leave_out_tables
from hetsim.calibrate._write import publish
from hetsim.calibrate.adapters import adapter_names, get_adapter

__all__ = [
    "CollectiveFit",
    "DeviceFit",
    "Fitted",
    "ImportReport",
    "LeftOut",
    "MeasuredFit",
    "OperatorFit",
    "adapter_names",
    "fit_device",
    "fit_samples",
    "get_adapter",
    "import_tables",
    "leave_out",
    "leave_out_page",
    "leave_out_tables",
    "publish",
    "read_tables",
]
