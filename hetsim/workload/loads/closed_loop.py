"""A fixed number of users who each wait for an answer, think, and ask again."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from hetsim.spec import spec
from hetsim.workload._history import conversation_ids
from hetsim.workload._streams import stream
from hetsim.workload._types import Count, Seconds, Tokens, refuse
from hetsim.workload._workload import Turn, Workload
from hetsim.workload.lengths import LengthLaw, Lengths

__all__ = ["ClosedLoop", "Conversation", "KeyedLoop"]

_CHUNK_TURNS = 16


@spec
class Conversation:
    """Turns that build on each other: the input repeats all earlier inputs and outputs.

    The ``input`` law then gives the new tokens of a turn, before which come ``shared_prefix``
    tokens that all users have in common (a system prompt) and the history of the conversation.
    """

    turns: Count
    """Turns after which a user starts a new conversation."""
    shared_prefix: int = 0
    """Tokens that begin every prompt of everybody (a system prompt)."""
    block_tokens: Tokens = 64
    """Tokens of one block in which shared prefixes are told apart."""

    def __post_init__(self) -> None:
        refuse((self.shared_prefix < 0, f"shared_prefix must be 0 or more: {self.shared_prefix}"))


class KeyedLoop:
    """Users whose turns depend on (seed, user, turn) alone.

    Draws come in chunks of turns; a chunk is drawn again if it is asked for after a later one.
    """

    __slots__ = (
        "_chunks",
        "_conversation",
        "_laws",
        "_seed",
        "_size",
        "_think_fixed",
        "_think_s",
        "hash_block_tokens",
        "requests",
        "users",
    )

    def __init__(
        self,
        users: int,
        requests: int,
        laws: tuple[LengthLaw, LengthLaw],
        seed: int,
        *,
        think_s: float = 0.0,
        think_fixed: bool = False,
        conversation: Conversation | None = None,
    ) -> None:
        self.users = min(users, requests)
        self.requests = requests
        self.hash_block_tokens = conversation.block_tokens if conversation else None
        self._laws = laws
        self._seed = seed
        self._think_s = think_s
        self._think_fixed = think_fixed
        self._conversation = conversation
        self._size = conversation.turns if conversation else _CHUNK_TURNS
        self._chunks: dict[int, tuple[int, list[Turn]]] = {}

    def first(self, user: int) -> Turn:
        """Return what ``user`` asks first, at time 0: nobody thinks before the first turn."""
        return self.next(user, 0)._replace(think_s=0.0)

    def next(self, user: int, turn: int) -> Turn:
        """Return what ``user`` asks in ``turn`` (0 is the first), and how long before it."""
        index, place = divmod(turn, self._size)
        chunk = self._chunks.get(user)
        if chunk is None or chunk[0] != index:
            chunk = (index, self._draw(user, index))
            self._chunks[user] = chunk
        return chunk[1][place]

    def _draw(self, user: int, index: int) -> list[Turn]:
        draws = stream(self._seed, "closed_loop", user)
        # One double takes one step of the generator: go straight to the chunk's first turn.
        draws.bit_generator.advance(3 * self._size * index)  # type: ignore[attr-defined]
        u = draws.random((self._size, 3))
        isl, osl = self._laws[0].quantile(u[:, 0]), self._laws[1].quantile(u[:, 1])
        law = np.ones(self._size) if self._think_fixed else -np.log1p(-u[:, 2])
        thinks = (self._think_s * law).tolist()
        talk = self._conversation
        if talk is None:
            rows = zip(thinks, isl.tolist(), osl.tolist(), strict=True)
            return [Turn(*row, []) for row in rows]
        said = np.cumsum(isl + osl) - osl + talk.shared_prefix
        number = index * self.users + user
        return [
            Turn(think_s, whole, out, conversation_ids(number, whole, talk.shared_prefix, block))
            for think_s, whole, out, block in zip(
                thinks,
                said.tolist(),
                osl.tolist(),
                [talk.block_tokens] * self._size,
                strict=True,
            )
        ]


@spec(kind="closed_loop", family="workload")
class ClosedLoop:
    """``users`` who each send the next request ``think`` after the end of the one before.

    All start at time 0. ``think`` is a mean (exponential) or, with ``think_law: fixed``, the same
    every time. With ``conversation`` the turns share growing prefixes.
    """

    kind: Literal["closed_loop"] = "closed_loop"
    users: Count
    """How many ask at the same time."""
    requests: Count
    """How many requests in all."""
    input: Lengths
    """Prompt lengths in tokens; with ``conversation`` the new tokens of a turn."""
    output: Lengths
    """Answer lengths, in tokens."""
    think: Seconds
    """Mean time from an answer to the next question of the same user."""
    think_law: Literal["exponential", "fixed"] = "exponential"
    """How think times are spread around their mean."""
    conversation: Conversation | None = None
    """Turns that repeat what was said before; left out: prompts have nothing in common."""
    warmup: Seconds = 0.0
    """Requests that arrive earlier are simulated, but not measured."""

    def build(self, seed: int, base_dir: Path) -> Workload:
        """Return the loop."""
        laws = (self.input.resolve(base_dir), self.output.resolve(base_dir))
        loop = KeyedLoop(
            self.users,
            self.requests,
            laws,
            seed,
            think_s=self.think,
            think_fixed=self.think_law == "fixed",
            conversation=self.conversation,
        )
        return Workload("closed_loop", loop=loop, measured_from_s=self.warmup)
