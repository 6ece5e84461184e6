"""KV memory: block arithmetic, the pool of one instance with its prefix cache, capacity.

Read ``_blocks.py`` (the pool; law L2 is its ``check``), then ``_capacity.py`` (how many fit).
Bytes per token come from the cost model, so that capacity and time use the same counts.
"""

from hetsim.kv._blocks import BlockPool, blocks_for, cache_unit
from hetsim.kv._capacity import Capacity, kv_capacity

__all__ = ["BlockPool", "Capacity", "blocks_for", "cache_unit", "kv_capacity"]
