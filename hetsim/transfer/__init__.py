"""Seconds and pieces of a KV movement: pure cost, no clock and nobody else on the wire.

Read ``_types.py`` first (engine, ends, plan), then ``_planner.py`` (drivers to seconds),
``_pieces.py`` (what prefill hides) and ``_convert.py``. Numbers live in
``calibration/transfer.yaml``; ``_fit.py`` fitted them. A new engine is one entry of that file.
"""

from hetsim.transfer._convert import convert_s
from hetsim.transfer._fit import LineFit, fit_line
from hetsim.transfer._library import (
    TransferTable,
    converter_names,
    get_converter,
    get_registration,
    get_transfer_engine,
    get_transfer_table,
    load_transfer_engine_file,
    transfer_engine_names,
)
from hetsim.transfer._pieces import exposed_after_prefill_s, exposed_layerwise_s, layer_ready_s
from hetsim.transfer._planner import (
    Planner,
    Staging,
    build_planner,
    handshake_s,
    plan_transfer,
    registration_s,
)
from hetsim.transfer._types import (
    Converter,
    Endpoint,
    Granularity,
    Registration,
    TransferEngine,
    TransferPlan,
)

__all__ = [
    "Converter",
    "Endpoint",
    "Granularity",
    "LineFit",
    "Planner",
    "Registration",
    "Staging",
    "TransferEngine",
    "TransferPlan",
    "TransferTable",
    "build_planner",
    "convert_s",
    "converter_names",
    "exposed_after_prefill_s",
    "exposed_layerwise_s",
    "fit_line",
    "get_converter",
    "get_registration",
    "get_transfer_engine",
    "get_transfer_table",
    "handshake_s",
    "layer_ready_s",
    "load_transfer_engine_file",
    "plan_transfer",
    "registration_s",
    "transfer_engine_names",
]
