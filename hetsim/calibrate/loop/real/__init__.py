"""A black-box engine at the boundary: what a real P/D pair does when something goes wrong.

Read ``_scenes.py`` first (what is played and what hetsim's preset says of it), then ``_engine.py``
(a process with one engine), ``worker.py`` (what runs in it: vLLM alone is imported there, so that
another interpreter may run it). Optional, minutes long, and never part of a test.
"""

from hetsim.calibrate.loop.real._engine import Engine
from hetsim.calibrate.loop.real._scenes import SCENES, play

__all__ = ["SCENES", "Engine", "play"]
