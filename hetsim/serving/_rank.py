"""One scheduler domain: queues, KV blocks and the running batch of an instance or a DP rank.

The running batch is kept as sums, not as a list to walk: the context sum per window, how many
sequences still grow, how many need a block at each phase of the block, and a heap of the steps at
which sequences end. So a change costs a logarithm of the batch, and k steps cost as much as one.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

from hetsim.kv import BlockPool, WatchedPool
from hetsim.serving._seq import Seq
from hetsim.spec import spec

__all__ = ["NEVER", "Rank", "RankRules"]

NEVER = 1 << 60


@spec
class RankRules:
    """What the runtime lets one scheduler domain do."""

    block_tokens: int
    max_seqs: int
    max_tokens: int
    chunked: bool
    reserve_output: bool
    """Admit only with blocks for the whole declared output (nothing is evicted later)."""
    unit_stride: int = 1
    unit_tokens: int = 0
    unit_blocks: int = 0
    """Prefix cache unit; 0 = no prefix cache."""
    fixed_blocks: int = 0
    """Blocks of constant state per sequence (linear layers, windows)."""
    windows: tuple[int | None, ...] = (None,)
    margin_tokens: int = 0
    """Tokens kept free for each request inside when blocks are reserved ahead (SGLang: 512)."""
    watermark_blocks: int = 0
    """Blocks kept free when a new prompt is admitted."""
    watched: bool = False
    """Somebody wants to know what the prefix cache takes in and gives up."""


class Rank:
    """Queues, blocks and the running batch of one scheduler domain."""

    __slots__ = (
        "_crossings",
        "_due",
        "_finish",
        "_joins",
        "block_tokens",
        "chunked",
        "grow",
        "hold",
        "index",
        "max_seqs",
        "max_tokens",
        "members",
        "next_finish",
        "partial",
        "plain",
        "pool",
        "queued",
        "ready",
        "reserves",
        "rules",
        "running",
        "steps",
        "sums",
        "swapped",
        "waiting",
        "zeros",
    )

    def __init__(self, index: int, blocks: int, rules: RankRules) -> None:
        self.index = index
        self.rules = rules
        kind = WatchedPool if rules.watched else BlockPool
        self.pool: BlockPool = kind(blocks, rules.unit_blocks)
        self.block_tokens = rules.block_tokens
        self.max_seqs = rules.max_seqs
        self.max_tokens = rules.max_tokens
        self.chunked = rules.chunked
        self.waiting: deque[Seq] = deque()
        """Prompts that have not begun."""
        self.partial: list[Seq] = []
        """Prompts begun and not finished."""
        self.ready: deque[Seq] = deque()
        """Sequences whose KV is here and that may decode."""
        self.swapped: deque[Seq] = deque()
        """Preempted sequences whose KV lies in host memory."""
        self.queued = 0
        """Prompt tokens that wait or are being computed."""
        self.members: dict[int, Seq] = {}
        """The running batch in the order of joining."""
        self.running = 0
        self.steps = 0
        """Decode steps done, ever."""
        self.sums = [0] * len(rules.windows)
        """Context tokens read by the next decode step, per window."""
        self.plain = rules.windows == (None,)
        """No windows: one context sum."""
        self.zeros = (0,) * len(rules.windows)
        self.grow = [0] * len(rules.windows)
        """Sequences whose context still grows inside that window."""
        self.hold = 0
        """Blocks that the running batch needs for its next step."""
        self.next_finish = NEVER
        """Step count at which the next sequence ends."""
        self.reserves = rules.reserve_output
        """Blocks for the whole output are held from the start: decode steps take none."""
        self._due = [0] * rules.block_tokens
        """How many of the batch take a block in the steps whose number modulo the block is this."""
        self._finish: list[tuple[int, int, Seq]] = []
        self._crossings: list[tuple[int, int, int, Seq]] = []
        self._joins = 0

    # -- what batchers see -------------------------------------------------------------------

    def room(self) -> int:
        """Return the blocks that may be given to newly admitted prompts."""
        return self.pool.available - self.rules.watermark_blocks - self.hold

    def demand(self, seq: Seq) -> tuple[int, int]:
        """Return (available blocks that admitting ``seq`` uses up, tokens its cache hits save)."""
        rules = self.rules
        blocks = self._whole(seq)
        if not seq.keys and not seq.blocks:
            return blocks, 0
        if seq.blocks:
            return max(0, blocks - seq.blocks), seq.done
        if not rules.unit_blocks:
            return blocks, 0
        hits = self.usable_hits(seq)
        idle = self.pool.idle_hits(seq.keys[:hits])
        return blocks - (hits - idle) * rules.unit_blocks, hits * rules.unit_tokens

    def _whole(self, seq: Seq) -> int:
        """Return the blocks of ``seq`` at admission, cached ones included."""
        tokens = seq.prompt
        if self.reserves and seq.declared > seq.out:
            tokens += seq.declared - seq.out
        return -(-tokens // self.block_tokens) + self.rules.fixed_blocks

    def usable_hits(self, seq: Seq) -> int:
        """Return cached leading units, leaving at least one token to compute."""
        hits = self.pool.hits(seq.keys)
        return min(hits, (seq.prompt - 1) // self.rules.unit_tokens)

    # -- memory ------------------------------------------------------------------------------

    def admit(self, seq: Seq) -> None:
        """Give ``seq`` its blocks: cached units are read, the rest is private."""
        rules, pool = self.rules, self.pool
        blocks = self._whole(seq)
        hits = self.usable_hits(seq) if seq.keys and rules.unit_blocks else 0
        if hits:
            pool.acquire(seq.keys[:hits])
            seq.read = hits
            seq.done = seq.cached = hits * rules.unit_tokens
            blocks -= hits * rules.unit_blocks
        pool.take(blocks)
        seq.blocks = blocks
        seq.fixed = rules.fixed_blocks
        seq.rank = self

    def top_up(self, seq: Seq) -> None:
        """Give ``seq``, which holds blocks here already, those that its whole prompt needs."""
        missing = self.demand(seq)[0]
        self.pool.take(missing)
        seq.blocks += missing

    def publish(self, seq: Seq) -> None:
        """Put the whole prompt units that ``seq`` has computed into the prefix cache."""
        rules = self.rules
        if not rules.unit_blocks or not seq.keys:
            return
        whole = min(seq.done, seq.isl) // rules.unit_tokens
        keys = seq.keys[seq.read : whole]
        if not keys or seq.published:
            return
        seq.published = self.pool.publish(keys)
        seq.blocks -= len(seq.published) * rules.unit_blocks

    def free(self, seq: Seq) -> None:
        """Take back everything that ``seq`` holds here."""
        pool = self.pool
        if seq.read:
            pool.release(seq.keys[: seq.read])
            seq.read = 0
        if seq.published:
            pool.release(seq.published)
            seq.published = []
        pool.give_back(seq.blocks)
        seq.blocks = 0
        seq.rank = None

    # -- the running batch -------------------------------------------------------------------

    def join(self, seq: Seq, context: int, left: int) -> None:
        """Let ``seq`` decode from the next step on, reading ``context`` tokens, ``left`` steps.

        While it runs, ``seq.blocks`` is what it has beside the blocks of its tokens, which grow.
        """
        steps = self.steps
        self._joins = joins = self._joins + 1
        seq.join_id = joins
        seq.base = base = context - steps
        self.members[seq.rid] = seq
        self.running += 1
        at = steps + left
        heappush(self._finish, (at, joins, seq))
        if at < self.next_finish:
            self.next_finish = at
        if not self.reserves:
            size = self.block_tokens
            self._due[(1 - base) % size] += 1
            seq.blocks -= -(-(context - 1) // size)
        if self.plain:
            self.sums[0] += context
            self.grow[0] += 1
        else:
            self._join_windows(seq, context)

    def _join_windows(self, seq: Seq, context: int) -> None:
        for index, window in enumerate(self.rules.windows):
            if window is None or context < window:
                self.sums[index] += context
                self.grow[index] += 1
                if window is not None:
                    at = self.steps + window - context
                    heappush(self._crossings, (at, seq.join_id, index, seq))
            else:
                self.sums[index] += window

    def leave(self, seq: Seq) -> None:
        """Take ``seq`` out of the running batch; its blocks, as they have grown, stay its own."""
        base = seq.base
        context = base + self.steps
        del self.members[seq.rid]
        self.running -= 1
        if not self.reserves:
            size = self.block_tokens
            self._due[(1 - base) % size] -= 1
            seq.blocks += -(-(context - 1) // size)
        seq.join_id = 0
        if self.plain:
            self.sums[0] -= context
            self.grow[0] -= 1
            return
        for index, window in enumerate(self.rules.windows):
            if window is None or context < window:
                self.sums[index] -= context
                self.grow[index] -= 1
            else:
                self.sums[index] -= window

    def cross_in(self) -> int:
        """Return the steps until a sequence stops growing inside a window."""
        heap = self._crossings
        while heap and heap[0][3].join_id != heap[0][1]:
            heappop(heap)
        return heap[0][0] - self.steps if heap else NEVER

    def next_need(self) -> int:
        """Return the blocks that the batch takes for its next decode step."""
        return self._due[self.steps % self.block_tokens]

    def blocks_in(self, steps: int, after: int = 0) -> int:
        """Return the blocks of the next ``steps`` decode steps, the first ``after`` left out."""
        if self.reserves:
            return 0
        size, due = self.block_tokens, self._due
        whole, rest = divmod(steps - after, size)
        first = (self.steps + after) % size
        last = first + rest
        if last > size:
            return whole * self.running + sum(due[first:]) + sum(due[: last - size])
        return whole * self.running + sum(due[first:last])

    def steps_within(self, blocks: int, limit: int) -> int:
        """Return how many steps, at most ``limit``, the batch can do with ``blocks`` more."""
        size, running = self.block_tokens, self.running
        if self.reserves:
            return limit
        if (limit // size + 1) * running <= blocks:
            return limit
        steps = blocks // running * size
        left = blocks % running
        due, now = self._due, self.steps
        while steps < limit:
            left -= due[(now + steps) % size]
            if left < 0:
                return steps
            steps += 1
        return limit

    def advance(self, steps: int) -> None:
        """Count ``steps`` decode steps as done (their blocks have been taken)."""
        self.steps += steps
        if self.plain:
            self.sums[0] += self.grow[0] * steps
            return
        for index, growing in enumerate(self.grow):
            self.sums[index] += growing * steps
        if self._crossings:
            self._cross()

    def _cross(self) -> None:
        heap = self._crossings
        while heap and (heap[0][0] <= self.steps or heap[0][3].join_id != heap[0][1]):
            _, join_id, index, seq = heappop(heap)
            if seq.join_id == join_id:
                self.grow[index] -= 1

    def retire(self) -> list[Seq]:
        """Let those go that have done their last step, their blocks too; in order of joining.

        :meth:`leave` and :meth:`free` in one: every request comes this way.
        """
        heap, steps, pool = self._finish, self.steps, self.pool
        ended = []
        while heap and (heap[0][0] <= steps or heap[0][2].join_id != heap[0][1]):
            _, join_id, seq = heappop(heap)
            if seq.join_id != join_id:
                continue
            self.leave(seq)
            if seq.read or seq.published:
                self.free(seq)
            else:
                pool.give_back(seq.blocks)
                seq.blocks = 0
                seq.rank = None
            ended.append(seq)
        self.next_finish = heap[0][0] if heap else NEVER
        return ended

    def forget(self, seq: Seq) -> None:
        """Take ``seq`` out of the batch before its end: its entry in the heap is stale now."""
        self.leave(seq)
        heap = self._finish
        while heap and heap[0][2].join_id != heap[0][1]:
            heappop(heap)
        self.next_finish = heap[0][0] if heap else NEVER

    def shorten(self, seq: Seq, at: int) -> None:
        """Let ``seq`` leave the batch when ``at`` steps are done, if not before."""
        if self.steps + self.left(seq) <= at:
            return
        heappush(self._finish, (at, seq.join_id, seq))
        if at < self.next_finish:
            self.next_finish = at

    def left(self, seq: Seq) -> int:
        """Return the steps that ``seq`` has still to do, by a walk (preemptions are rare)."""
        for at, join_id, member in self._finish:
            if member is seq and join_id == seq.join_id:
                return at - self.steps
        raise KeyError(seq.rid)

    def victim(self) -> Seq:
        """Return the sequence to preempt: the last that joined (vLLM's order)."""
        return next(reversed(self.members.values()))
