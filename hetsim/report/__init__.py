"""The report: a run or a sweep as one HTML file that answers first.

Read ``_report.py`` first (folder -> page), then ``_chart.py`` (what a figure is: numbers, a table,
a sentence). ``_answer.py`` finds the words; ``_run_figures.py``, ``_ownership.py`` and
``_sweep.py`` make figures; ``_plotly.py`` draws them for the screen, ``_print.py`` for paper, and
``_html.py`` fills the page in ``templates/``. A new figure is one function that returns a
``Figure``, and one entry in the list of its section.
"""

from hetsim.report._answer import Answer, run_answer
from hetsim.report._chart import Figure, Table
from hetsim.report._report import report, report_figures

__all__ = ["Answer", "Figure", "Table", "report", "report_figures", "run_answer"]
