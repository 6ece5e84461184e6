"""Whom to run next, and where: batchers (a step's work), routers (an instance), places (a pool).

Read ``_views.py`` first: what a policy may see. One file per policy, one ``choose`` each. To add
one, write ``batcher_<kind>.py`` or ``router_<kind>.py`` with ``@register`` and import it below.
"""

from hetsim.policies import (
    batcher_sglang,
    batcher_static,
    batcher_trtllm,
    batcher_vllm,
    router_kv_aware,
    router_least_load,
    router_prefix_aware,
    router_round_robin,
)
from hetsim.policies._views import Batcher, BatchView, Chunks, Router, RouteView, SequenceView
from hetsim.policies.place_bypass import bypasses
from hetsim.policies.place_relief import relieves
from hetsim.policies.place_split import Split

__all__ = [
    "BatchView",
    "Batcher",
    "Chunks",
    "RouteView",
    "Router",
    "SequenceView",
    "Split",
    "batcher_sglang",
    "batcher_static",
    "batcher_trtllm",
    "batcher_vllm",
    "bypasses",
    "relieves",
    "router_kv_aware",
    "router_least_load",
    "router_prefix_aware",
    "router_round_robin",
]
