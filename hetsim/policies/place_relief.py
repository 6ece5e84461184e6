"""The decode pool helps out where prompts pile up before the prefill pool.

*Source:* the conditional disaggregation of NVIDIA Dynamo 1.6.1: a local prefill where the prefill
queue is longer than a bound.
"""

from __future__ import annotations

from collections.abc import Sequence

from hetsim.policies._views import RouteView

__all__ = ["relieves"]


def relieves(instances: Sequence[RouteView], above_tokens: int) -> bool:
    """Return whether even the shortest queue holds more prompt tokens than ``above_tokens``.

    A pool of which nobody is alive is relieved as well.
    """
    return all(instance.queued_tokens > above_tokens for instance in instances)
