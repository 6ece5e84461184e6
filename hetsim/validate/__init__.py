"""Predicted against measured: tables of published results, simulated row by row.

Read ``_validate.py`` first (rows to processes), then ``_table.py`` (which table is what),
``_serving.py`` and ``_tables.py`` (a row becomes a scenario), ``_simulate.py`` and ``_figures.py``
(run and weigh), ``_score.py`` (what counts) and ``_report.py``. What published recipes and clients
do beside an engine's defaults is in ``_recipes.py``, ``_formats.py`` and ``_lengths.py``.
A new kind of table: its columns in ``_table.py``, its jobs in ``_predict.py``.
"""

from hetsim.validate._report import Report
from hetsim.validate._score import METRICS, Metric, Outcome, Pair
from hetsim.validate._table import KINDS, Row, Table, read_tables
from hetsim.validate._validate import validate

__all__ = [
    "KINDS",
    "METRICS",
    "Metric",
    "Outcome",
    "Pair",
    "Report",
    "Row",
    "Table",
    "read_tables",
    "validate",
]
