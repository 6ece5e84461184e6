"""Seconds from operations: calibrated rooflines, one step of one instance at a time.

Read ``_roofline.py`` (the equation), ``_compile.py`` (from a model to operators), ``_step.py``
(what the engine calls), ``_calibration.py`` (where parameters come from). All of it is pure;
``_calibration_files.py`` alone reads files. A measured device: one YAML file in
``calibration/<device>/``.
"""

from hetsim.costs._build import build_step_model
from hetsim.costs._calibration import GRADES, Calibration, Grade, Parameters, Piece, worst_grade
from hetsim.costs._calibration_files import load_calibration, read_calibration_file
from hetsim.costs._collectives import measured_pieces
from hetsim.costs._constant import ConstantModel
from hetsim.costs._grouped import expert_passes, expert_tile
from hetsim.costs._network import Group, NetworkUse
from hetsim.costs._roles import checkpoint_precision
from hetsim.costs._roofline import expected_experts, smooth_max
from hetsim.costs._stairs import TILES, tile_weight
from hetsim.costs._step import StepModel
from hetsim.costs._types import (
    DecodePoint,
    GroupLinks,
    Layout,
    OperatorCost,
    Overheads,
    Precision,
    RankLoad,
    RanksPoint,
    StepCost,
)

__all__ = [
    "GRADES",
    "TILES",
    "Calibration",
    "ConstantModel",
    "DecodePoint",
    "Grade",
    "Group",
    "GroupLinks",
    "Layout",
    "NetworkUse",
    "OperatorCost",
    "Overheads",
    "Parameters",
    "Piece",
    "Precision",
    "RankLoad",
    "RanksPoint",
    "StepCost",
    "StepModel",
    "build_step_model",
    "checkpoint_precision",
    "expected_experts",
    "expert_passes",
    "expert_tile",
    "load_calibration",
    "measured_pieces",
    "read_calibration_file",
    "smooth_max",
    "tile_weight",
    "worst_grade",
]
