"""A prompt in two parts: the prefill side computes the first, the decode side the end of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Split"]


@dataclass(frozen=True, slots=True)
class Split:
    """How much of a prompt is left to the decode side: a share of it, or so many tokens.

    At least one token stays on the prefill side, or there would be no hand-off.

    >>> Split(0.25, None).tokens(1000), Split(None, 256).tokens(100), Split(None, None).tokens(9)
    (250, 99, 0)
    """

    share: float | None
    count: int | None

    def tokens(self, prompt_tokens: int) -> int:
        """Return the tokens at the end of the prompt that the decode side computes."""
        wanted = self.count or 0
        if self.share is not None:
            wanted = int(self.share * prompt_tokens)
        return max(0, min(wanted, prompt_tokens - 1))
