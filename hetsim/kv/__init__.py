"""KV memory: block arithmetic, the pool of one instance with its prefix cache, capacity.

Read ``_blocks.py`` (the pool; law L2 is its ``check``), then ``_capacity.py`` (how many fit);
``_watched.py`` is a pool that tells what its cache takes in and gives up.
Bytes per token come from the cost model, so that capacity and time use the same counts.
"""

from hetsim.kv._blocks import BlockPool, blocks_for, cache_unit
from hetsim.kv._capacity import Capacity, kv_capacity
from hetsim.kv._watched import WatchedPool

__all__ = ["BlockPool", "Capacity", "WatchedPool", "blocks_for", "cache_unit", "kv_capacity"]
