"""Rows of a transfer table: seconds and bandwidth of one movement, straight from the cost model."""

from __future__ import annotations

import re

from hetsim.errors import Problem, ScenarioError
from hetsim.transfer import TransferEngine, get_transfer_engine
from hetsim.validate._table import Row

__all__ = ["bandwidth_of"]


def bandwidth_of(row: Row) -> tuple[float, float | None]:
    """Return (bytes per second, milliseconds or None) of a row.

    A movement of known size pays the fixed time of a request; a stream of blocks is limited by the
    line or by descriptors per NIC, whichever is less.

    Raises
    ------
    ScenarioError
        If the engine is not modelled or the line rate is missing.
    """
    engine = _engine(row)
    line = row.number("line_rate_gbytes")
    if not line or line <= 0:
        raise ScenarioError(Problem("is empty; the row needs it", "line_rate_gbytes"))
    rate = line * 1e9 * engine.ceiling_ratio
    size = row.number("kv_bytes")
    if size:
        seconds = engine.control_s + size / rate
        return size / seconds, 1e3 * seconds
    block = row.number("block_bytes")
    if block and engine.descriptors_per_s is not None:
        rate = min(rate, block * engine.descriptors_per_s * _nics(row))
    return rate, None


def _engine(row: Row) -> TransferEngine:
    words = f"{row.text('engine')} {row.text('link')}".lower()
    operation = "read" if row.text("op") == "read" else "write"
    if "pcie" in words:
        raise ScenarioError(
            Problem("a copy to host memory is no transfer between instances", "link")
        )
    if "efa" in words:
        return get_transfer_engine(f"mooncake_efa_{operation}")
    if "sglang" in words:
        return get_transfer_engine("mooncake_rdma_sglang")
    if "mooncake" in words:
        return get_transfer_engine("mooncake_rdma_vllm")
    if "nixl" in words:
        return get_transfer_engine("nixl_ucx_rdma")
    raise ScenarioError(Problem(f"is {row.text('engine')!r}; no transfer engine fits it", "engine"))


def _nics(row: Row) -> int:
    """Return how many NICs the link is made of, from words such as ``16x200G EFA``."""
    found = re.match(r"\s*(\d+)\s*x", row.text("link"))
    return int(found[1]) if found else 1
