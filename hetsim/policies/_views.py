"""What a scheduling policy may see. True output lengths are not in here (law L8)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol, TypeAlias

__all__ = ["BatchView", "Batcher", "Chunks", "RouteView", "Router", "SequenceView"]


class SequenceView(Protocol):
    """One request as a scheduler sees it."""

    @property
    def prompt(self) -> int:
        """Tokens to prefill in all (prompt, and what a preemption made to be computed again)."""

    @property
    def done(self) -> int:
        """Of those, tokens already in the KV cache."""


Chunks: TypeAlias = "list[tuple[SequenceView, int]]"
"""Prefill work of a step: (sequence, new tokens)."""


class BatchView(Protocol):
    """One scheduler domain (an instance, or one DP rank of it), read only."""

    running: int
    """Sequences that decode."""
    max_seqs: int
    max_tokens: int
    """Token budget of a step."""
    chunked: bool
    """Whether a prompt may be split over steps."""

    @property
    def partial(self) -> Sequence[SequenceView]:
        """Prompts begun and not finished, oldest first."""

    @property
    def waiting(self) -> Collection[SequenceView]:
        """Prompts not begun, in order."""

    def demand(self, seq: Any) -> tuple[int, int]:
        """Return (blocks that admitting ``seq`` takes from the available ones, cached tokens)."""

    def room(self) -> int:
        """Return the blocks that may be given to newly admitted prompts."""


class Batcher(Protocol):
    """Chooses the next step: which prompts to work on, and whether decodes ride along."""

    def choose(self, view: BatchView) -> tuple[Chunks, bool]:
        """Return (chunks, whether the running sequences decode in the same step).

        The view must not be changed; sequences of ``waiting`` are taken from its front, in order.
        """


class RouteView(Protocol):
    """One instance as a router sees it."""

    index: int

    @property
    def queued_tokens(self) -> int:
        """Prompt tokens that wait or are being computed."""

    @property
    def load(self) -> int:
        """Requests inside, in whatever state."""

    def cached_tokens(self, keys: Sequence[int]) -> int:
        """Return how many leading tokens of a prompt are in its prefix cache."""

    def free_blocks(self) -> int:
        """Return the KV blocks that could be given out now."""


class Router(Protocol):
    """Chooses an instance of a pool for a request."""

    def choose(self, views: Sequence[RouteView], prompt: int, keys: Sequence[int]) -> int:
        """Return the position in ``views`` of the chosen instance."""
