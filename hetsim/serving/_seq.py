"""The progress of one request: owned by one stage at a time, passed forward with the KV state."""

from __future__ import annotations

from typing import Any

NAN = float("nan")

__all__ = ["NAN", "Seq"]


class Seq:
    """One request on its way. The true output length is not here: no policy may see it (L8)."""

    __slots__ = (
        "arrival_s",
        "attempt",
        "base",
        "blocks",
        "cached",
        "convert_s",
        "corrupt",
        "deadline_s",
        "declared",
        "decode_instance",
        "decode_start_s",
        "dest",
        "done",
        "dst_blocks",
        "dst_rank",
        "enqueued_s",
        "first_s",
        "fixed",
        "gone",
        "handoff",
        "held",
        "isl",
        "join_id",
        "keys",
        "landed_s",
        "last_s",
        "out",
        "preempted",
        "prefill_end_s",
        "prefill_instance",
        "prefill_start_s",
        "prompt",
        "published",
        "rank",
        "read",
        "reserved_s",
        "rid",
        "second_s",
        "source",
        "status",
        "timers",
        "transfer_start_s",
        "transfer_tokens",
        "turn",
        "user",
    )

    def __init__(
        self, rid: int, arrival_s: float, isl: int, declared: int, keys: list[int]
    ) -> None:
        self.rid = rid
        self.arrival_s = arrival_s
        self.isl = isl
        self.declared = declared
        """Output tokens that the client asked for at most."""
        self.keys = keys
        """Names of the prompt's cache units, first to last."""
        self.prompt = isl
        """Tokens to prefill: the prompt, and after a preemption what was generated as well."""
        self.done = 0
        """Of ``prompt``, tokens in the KV cache."""
        self.cached = 0
        """Of ``prompt``, tokens that a prefix cache supplied."""
        self.out = 0
        """Output tokens emitted."""
        self.blocks = 0
        """Private KV blocks on the instance that holds the sequence."""
        self.fixed = 0
        """Of these, blocks for constant state and windowed layers; they do not grow."""
        self.read = 0
        """Leading cache units that are read by this sequence."""
        self.published: list[int] = []
        """Cache units that this sequence put into the cache and still reads."""
        self.rank: Any = None
        self.base = 0
        """Context of the next decode step minus the step count of the rank."""
        self.join_id = 0
        self.gone = False
        """The request has ended; whatever still names it must let go."""
        self.dst_rank: Any = None
        """Where KV that comes from elsewhere has its blocks reserved, until it may decode."""
        self.dst_blocks = 0
        self.held: Any = None
        """What the producer holds after the prefill: (rank, blocks, keys read, keys published)."""
        self.source: Any = None
        self.dest: Any = None
        self.handoff: Any = None
        """The configuration that its hand-off is in."""
        self.deadline_s = 0.0
        """When the lease on its source blocks ends."""
        self.timers: Any = None
        self.attempt = 0
        self.transfer_tokens = 0
        self.convert_s = 0.0
        self.corrupt = 0
        self.status = 0
        self.preempted = 0
        self.user = -1
        self.turn = 0
        self.prefill_instance = -1
        self.decode_instance = -1
        self.enqueued_s = NAN
        self.prefill_start_s = NAN
        self.prefill_end_s = NAN
        self.transfer_start_s = NAN
        self.landed_s = NAN
        self.reserved_s = NAN
        self.decode_start_s = NAN
        self.first_s = NAN
        self.second_s = NAN
        self.last_s = NAN

    def __repr__(self) -> str:
        return f"Seq({self.rid}, {self.done}/{self.prompt} prefilled, {self.out} out)"
