"""Predicted against measured: tables of published results, simulated row by row.

Read ``_validate.py`` first (rows to processes), then ``_table.py`` (which table is what),
``_serving.py`` and ``_tables.py`` (a row becomes a scenario), ``_simulate.py`` and ``_figures.py``
(run and weigh), ``_score.py`` (what counts) and ``_report.py``. What published recipes and clients
do beside an engine's defaults is in ``_recipes.py``, ``_formats.py`` and ``_lengths.py``. Which
constants of engines were fitted is in ``_constants.py``; ``_crossfit.py`` refits them without the
pair that is scored (``_sensitivity.py``, ``_refit.py``).
A new kind of table: its columns in ``_table.py``, its jobs in ``_predict.py``.
"""

from hetsim.validate._constants_write import check_root
from hetsim.validate._refit import Fit
from hetsim.validate._report import Report
from hetsim.validate._scatter import check_drawable, draw_scatter, scatter_figure, scatter_of
from hetsim.validate._score import METRICS, Metric, Outcome, Pair
from hetsim.validate._table import KINDS, Row, Table, read_tables
from hetsim.validate._validate import validate

__all__ = [
    "KINDS",
    "METRICS",
    "Fit",
    "Metric",
    "Outcome",
    "Pair",
    "Report",
    "Row",
    "Table",
    "check_drawable",
    "check_root",
    "draw_scatter",
    "read_tables",
    "scatter_figure",
    "scatter_of",
    "validate",
]
