"""Measured links: how long a number of bytes in a number of pieces takes, and the fit of that.

Read ``_run.py`` first (what is measured when), then ``_fit.py`` (the equation). Every module
without an underscore is a kind of link: ``open_link(setting)`` returns a session whose
``transfer(op, size, pieces)`` moves bytes and returns when they have arrived.
"""

from hetsim.calibrate.links._fit import LinkFit, fit_links, link_seconds
from hetsim.calibrate.links._registry import get_link_kind, link_kinds
from hetsim.calibrate.links._run import LinkOptions, LinkReport, measure_links
from hetsim.calibrate.links._types import Session, Setting

__all__ = [
    "LinkFit",
    "LinkOptions",
    "LinkReport",
    "Session",
    "Setting",
    "fit_links",
    "get_link_kind",
    "link_kinds",
    "link_seconds",
    "measure_links",
]
