"""The kinds of movement in the ``transfers`` table, by code."""

from __future__ import annotations

__all__ = ["COPY", "FETCH", "GET", "PUT", "STORE", "TRANSFER_KINDS"]

TRANSFER_KINDS = (
    "handoff", "swap", "tier",
    "fetch_dram", "fetch_ssd", "fetch_remote", "store_dram", "store_ssd", "store_remote",
    "copy", "put", "get",
)  # fmt: skip
"""``fetch_*`` brings a prefix up from a tier, ``store_*`` puts one down; ``copy``, ``put`` and
``get`` are the hops of a hand-off over a transit store or a pool."""

FETCH = {name: TRANSFER_KINDS.index(f"fetch_{name}") for name in ("dram", "ssd", "remote")}
STORE = {name: TRANSFER_KINDS.index(f"store_{name}") for name in ("dram", "ssd", "remote")}
COPY, PUT, GET = (TRANSFER_KINDS.index(name) for name in ("copy", "put", "get"))
