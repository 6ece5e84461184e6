"""What a driver puts into an instance and takes out of it, and how that shortens a segment."""

from __future__ import annotations

from hetsim.serving._memory import Memory
from hetsim.serving._rank import Rank
from hetsim.serving._seq import Seq

__all__ = ["Entrance"]


class Entrance(Memory):
    """Requests and KV come in and go out between step boundaries."""

    __slots__ = ()

    def submit(self, seq: Seq, now: float) -> None:
        """Let ``seq`` wait for its prompt to be computed here."""
        rank = self.domain_for_prompt()
        seq.enqueued_s = now
        rank.waiting.append(seq)
        rank.queued += seq.prompt - seq.done
        self.load += 1
        self.poke(now)

    def domain_for_prompt(self) -> Rank:
        """Return the scheduler domain that takes a new prompt."""
        return self.rank

    def domain_for_kv(self) -> Rank:
        """Return the scheduler domain that takes KV from elsewhere."""
        return self.rank

    def reserve(self, seq: Seq, tokens: int, now: float) -> bool:
        """Take blocks for KV that will arrive from elsewhere; say whether there were enough."""
        if self.segment is not None:
            self.look(now)
        rank = self.domain_for_kv()
        rules = rank.rules
        if rules.reserve_output:
            tokens += max(0, seq.declared - seq.out)
        blocks = -(-tokens // rank.block_tokens) + rules.fixed_blocks
        pool = rank.pool
        if blocks > pool.available - rules.watermark_blocks:
            return False
        pool.take(blocks)
        seq.dst_blocks = blocks
        seq.dst_rank = rank
        self.load += 1
        if self.segment is not None:
            self._refit()
        return True

    def join(self, seq: Seq, now: float) -> None:
        """Let ``seq``, whose KV has landed in its reserved blocks, decode from the next step on."""
        rank = seq.rank = seq.dst_rank
        seq.blocks = seq.dst_blocks
        seq.fixed = rank.rules.fixed_blocks
        seq.dst_rank = None
        rank.ready.append(seq)
        self.poke(now)

    def unreserve(self, seq: Seq, now: float) -> None:
        """Take back blocks that were reserved and never decoded in."""
        seq.dst_rank.pool.give_back(seq.dst_blocks)
        seq.dst_rank = None
        self.load -= 1
        self.poke(now)

    def detach(self, seq: Seq) -> None:
        """Keep the blocks of a prefilled sequence for its hand-off, apart from the sequence."""
        seq.held = (seq.rank, seq.blocks, seq.read, seq.published)
        seq.rank = None
        seq.blocks = seq.read = 0
        seq.published = []

    def drop(self, seq: Seq, now: float) -> None:
        """Take back what :meth:`detach` kept."""
        rank, blocks, read, published = seq.held
        seq.held = None
        pool = rank.pool
        if read:
            pool.release(seq.keys[:read])
        if published:
            pool.release(published)
        pool.give_back(blocks)
        self.load -= 1
        if rank.waiting:
            self.poke(now)

    def poke(self, now: float) -> None:
        """Something changed from outside: be asked at the next step boundary, or now if idle."""
        segment = self.segment
        if segment is not None:
            steps = segment.done_by(now) + 1
            if steps < segment.limit:
                segment.limit = steps
                self.next_s = segment.at(steps)
        elif self._step is None and not self.dead:
            self.next_s = now
