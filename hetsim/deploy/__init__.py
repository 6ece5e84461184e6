"""From a design to a real deployment, and from its measurements back to the design.

Read ``_export.py`` first (a design becomes files), ``_design.py`` (what is looked up) and
``_gaps.py`` (what the runtime cannot do); the words of engines are in ``_vllm.py``,
``_sglang.py`` and ``_trtllm.py``, one file per runtime in ``targets/``. Then ``_observe.py`` (a
measured file against a prediction), one file per format in ``readers/``, ``_sensitivity.py`` (how
predictions move) and ``_blame.py`` (which parameter explains the ratios).
"""

from hetsim.deploy._export import Export, export, export_design
from hetsim.deploy._observe import Comparison, observe
from hetsim.deploy.readers import read_measured, reader_names
from hetsim.deploy.targets import target_names

__all__ = [
    "Comparison",
    "Export",
    "export",
    "export_design",
    "observe",
    "read_measured",
    "reader_names",
    "target_names",
]
