"""What a driver puts into an instance and takes out of it, and how that shortens a segment."""

from __future__ import annotations

from hetsim.kv import WatchedPool
from hetsim.serving._memory import Memory
from hetsim.serving._rank import Rank
from hetsim.serving._seq import Seq

__all__ = ["Entrance"]


class Entrance(Memory):
    """Requests and KV come in and go out between step boundaries."""

    __slots__ = ()

    def submit(self, seq: Seq, now: float, rank: Rank | None = None) -> None:
        """Let ``seq`` wait for its prompt to be computed here, in ``rank`` if that is given."""
        rank = rank or self.domain_for_prompt()
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
        kept = self._margin(rank, seq) if rules.margin_tokens else rules.watermark_blocks
        if blocks > pool.available - kept:
            return False
        pool.take(blocks)
        seq.dst_blocks = blocks
        seq.dst_rank = rank
        self.load += 1
        if self.segment is not None:
            self._refit()
        return True

    def lend(self, rank: Rank, blocks: int, now: float) -> bool:
        """Take blocks for units that are fetched from a tier; say whether there were enough."""
        if self.segment is not None:
            self.look(now)
        if blocks > rank.pool.available - rank.rules.watermark_blocks - rank.hold:
            return False
        rank.pool.take(blocks)
        if self.segment is not None:
            self._refit()
        return True

    def take_in(self, rank: Rank, keys: list[int], blocks: int, now: float) -> None:
        """Turn lent blocks into cached units; what is cached already or did not come is freed."""
        pool = rank.pool
        assert isinstance(pool, WatchedPool)
        fresh = pool.adopt(keys)
        pool.give_back(blocks - len(fresh) * pool.unit_blocks)
        pool.release(fresh)
        if rank.waiting:
            self.poke(now)

    def let_go(self, rank: Rank, keys: list[int], now: float) -> None:
        """Stop reading cached units that were being copied into a tier."""
        rank.pool.release(keys)
        if rank.waiting:
            self.poke(now)

    def _margin(self, rank: Rank, seq: Seq) -> int:
        """Return the blocks that a reservation ahead must leave free.

        ``max(margin x requests inside, largest single need) + what the retracted need``; the need
        of a request is its declared output, of which nothing is taken as done.

        *Source:* SGLang 0.5.23, disaggregation/decode.py, allocatable tokens.
        """
        inside = -(-self.load // len(self.ranks))
        tokens = rank.rules.margin_tokens * inside
        if tokens < seq.declared:
            tokens = max(tokens, max((m.declared for m in rank.members.values()), default=0))
        tokens += sum(away.done for away in rank.swapped)
        return -(-tokens // rank.block_tokens) + rank.rules.watermark_blocks

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

    def cut(self, seq: Seq, now: float) -> bool:
        """Let go of a request that has ended elsewhere; say whether it was here.

        One that decodes leaves with the step in flight, anybody else at once.
        """
        for rank in self.ranks:
            if rank.members.get(seq.rid) is seq:
                done = self.segment.done_by(now) if self.segment is not None else 0
                rank.shorten(seq, rank.steps + done + 1)
                self.poke(now)
                return True
            if self._withdraw(rank, seq):
                self.load -= 1
                self.poke(now)
                return True
        return False

    def _withdraw(self, rank: Rank, seq: Seq) -> bool:
        """Take a request that does not decode out of its queue, and its blocks back."""
        for queue in (rank.waiting, rank.partial):
            if seq in queue:
                queue.remove(seq)
                rank.queued -= seq.prompt - seq.done
                break
        else:
            for queue in (rank.ready, rank.swapped):
                if seq in queue:
                    queue.remove(seq)
                    break
            else:
                return False
        if seq.rank is not None:
            rank.free(seq)
        return True

    def stall(self, seconds: float, now: float) -> None:
        """Let the step loop stand still for ``seconds``, after the step in flight."""
        self.extra_s += seconds
        self.poke(now)

    def set_aside(self, wanted: list[int], now: float) -> list[int]:
        """Take blocks of every domain out of use, up to ``wanted``; return how many went."""
        self.look(now)
        taken = []
        for rank, blocks in zip(self.ranks, wanted, strict=True):
            blocks = max(0, min(blocks, rank.pool.available - rank.hold))
            if blocks:
                rank.pool.take(blocks)
                rank.pool.quarantine(blocks)
            taken.append(blocks)
        if any(taken) and self.segment is not None:
            self._refit()
        return taken

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
