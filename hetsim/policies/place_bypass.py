"""Short prompts stay where they decode: they gain less from the prefill pool than a hand-off costs.

*Source:* the prefill router of NVIDIA Dynamo 1.6.1 and its conditional disaggregation, which keeps
prompts below a length local.
"""

from __future__ import annotations

__all__ = ["bypasses"]


def bypasses(prompt_tokens: int, below_tokens: int) -> bool:
    """Return whether a prompt is short enough to be computed in the decode pool.

    >>> bypasses(511, 512), bypasses(512, 512)
    (True, False)
    """
    return prompt_tokens < below_tokens
