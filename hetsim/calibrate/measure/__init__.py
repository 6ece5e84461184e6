"""The microbenchmark harness: kernels on the device at hand to a table of raw samples.

Read ``_measure.py`` first (the whole), then ``_rounds.py`` (order, sentinels), ``_statistics.py``
(repeats, outliers), ``_device.py`` (clocks), ``_bench.py`` (cold and warm operands). Every module
without an underscore is a kernel family: ``points(quick)`` yields shapes, ``build(point, bench)``
returns the kernel. A new family is a new module here; nothing else changes.
"""

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._device import Device, cpu_slug, open_device
from hetsim.calibrate.measure._measure import LEAST_ROUNDS, MeasureReport, measure
from hetsim.calibrate.measure._plan import Options
from hetsim.calibrate.measure._registry import family_names, get_family
from hetsim.calibrate.measure._types import COLUMNS, NotAvailable, Point, Reading, point

__all__ = [
    "COLUMNS",
    "LEAST_ROUNDS",
    "Bench",
    "Device",
    "MeasureReport",
    "NotAvailable",
    "Options",
    "Point",
    "Reading",
    "cpu_slug",
    "family_names",
    "get_family",
    "measure",
    "open_device",
    "point",
]
