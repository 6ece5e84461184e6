"""The report: a run, a sweep or a comparison as one HTML file that answers first.

Read ``_report.py`` first (folder -> page -> file), then ``_chart.py`` (what a figure is: numbers,
a table, a sentence). ``_page.py`` (run), ``_sweep_page.py`` and ``_compare_page.py`` put pages
together; ``_answer.py`` and ``_sweep_answer.py`` find the words; the other files make figures.
``_plotly.py`` draws them for the screen, ``_print.py`` for paper, ``_html.py`` fills the page in
``templates/``, where ``explore.js`` links the views of a sweep. ``_watch.py`` follows a sweep that
runs. A new figure is a function that returns a ``Figure``, and an entry in its section.
"""

from hetsim.report._answer import Answer, run_answer
from hetsim.report._chart import Figure, Table
from hetsim.report._compare import Comparison, compare
from hetsim.report._compare_page import change_text
from hetsim.report._report import compare_report, report, report_figures, sweep_report
from hetsim.report._watch import Watch

__all__ = [
    "Answer",
    "Comparison",
    "Figure",
    "Table",
    "Watch",
    "change_text",
    "compare",
    "compare_report",
    "report",
    "report_figures",
    "run_answer",
    "sweep_report",
]
