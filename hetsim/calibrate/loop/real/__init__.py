"""A black-box engine at the boundary: what a real P/D pair does when something goes wrong.

Read ``_scenes.py`` first (what is played), then ``_predict.py`` (the same setting through hetsim),
``_play.py`` and ``_page.py`` (one after the other, and the table); ``_stage.py`` (the pair),
``_engine.py`` (processes) and ``worker.py`` (what runs in them: vLLM alone is imported there, so
that another interpreter may run it). Optional, minutes long, and never part of a test.
"""

from hetsim.calibrate.loop.real._engine import Engine, Nursery
from hetsim.calibrate.loop.real._page import real_page_with, real_table_text
from hetsim.calibrate.loop.real._play import beside, play
from hetsim.calibrate.loop.real._predict import judge, predict
from hetsim.calibrate.loop.real._scenes import SCENES, setting
from hetsim.calibrate.loop.real._stage import reason_in

__all__ = [
    "SCENES",
    "Engine",
    "Nursery",
    "beside",
    "judge",
    "play",
    "predict",
    "real_page_with",
    "real_table_text",
    "reason_in",
    "setting",
]
