"""A prefill engine, decode engines beside it, and what is seen of P's blocks from outside."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hetsim.calibrate.loop._pair import cores
from hetsim.calibrate.loop._shapes import SIZES
from hetsim.calibrate.loop.real._engine import Answer, Engine, Nursery
from hetsim.calibrate.loop.real._weights import write_model

__all__ = ["BLOCKS", "MODEL", "PAGE", "Offer", "Stage", "outcome_of_text"]

PAGE = 64
"""Tokens of a block; on a CPU they are multiples of 32."""
BLOCKS = 64
"""Blocks of an engine: few, so that what is given up is soon somebody else's."""
_QUIET_LEASE_S, _LONGEST_LEASE_S = 6.0, 30.0
_LIMIT_S = 60.0
_LOOK_S = 0.25
_FIRST_PORT = 5600
_EXPIRED = "Releasing expired KV blocks"
_FAILED = "NIXL transfer failure"
_NEAR = 0.1
"""Natural logarithms by which the likelihood of the same token may differ between two ways of
computing it: far below what other KV makes of it."""

MODEL: dict[str, Any] = {
    **SIZES["tiny"],
    "hidden_size": 256,
    "intermediate_size": 704,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 4096,
    "max_position_embeddings": 4096,
    "architectures": ["LlamaForCausalLM"],
    "torch_dtype": "bfloat16",
    "hidden_act": "silu",
    "bos_token_id": 1,
    "eos_token_id": 2,
}
"""Small: what happens at the boundary does not depend on the model."""


class Offer:
    """A prompt that P has computed and keeps for somebody."""

    def __init__(self, prompt: list[int], answer: Answer, held: int, expired: int) -> None:
        self.prompt, self.answer, self.held = prompt, answer, held
        self.at_s = time.monotonic()
        self.expired = expired
        """Leases that P had seen end before."""


class Stage:
    """The prefill engine, and how to get a decode engine beside it."""

    def __init__(self, nursery: Nursery, folder: Path, tell: Callable[[str], None]) -> None:
        self._nursery, self._folder, self.tell = nursery, folder, tell
        self._cores, self._ports, self._count = cores(), _FIRST_PORT, 0
        self._draw = random.Random(1)
        self.pace = max(1.0, nursery.pace)
        """How much slower than quiet this machine is, as the import of the engine shows."""
        self.lease_s = float(round(min(_LONGEST_LEASE_S, _QUIET_LEASE_S * self.pace)))
        self.limit_s = _LIMIT_S * min(5.0, self.pace)
        write_model(folder / "model", MODEL)
        self._prefill: Engine | None = None

    @property
    def prefill(self) -> Engine:
        """The prefill engine, started when first needed."""
        if self._prefill is None:
            self._prefill = self.engine("prefill", 0)
        return self._prefill

    def engine(self, name: str, core: int, **more: Any) -> Engine:
        """Start an engine with the connector."""
        self._ports += 10
        spec = {
            "model": str(self._folder / "model"),
            "load": "auto",
            "port": self._ports,
            "cores": str(self._cores[core] or 0),
            "connector": True,
            "lease_s": int(self.lease_s),
            "policy": "fail",
            "die": None,
            "dtype": "bfloat16",
            "kv_dtype": "auto",
            "block_tokens": PAGE,
            "blocks": BLOCKS,
            "tp": 1,
            "environment": {},
            **more,
        }
        self.tell(f"starting the {name} engine")
        return self._nursery.engine(spec)

    def decode(self, **more: Any) -> Engine:
        """Start a decode engine; as many cores as it has ranks."""
        ranks = int(more.get("tp", 1))
        if ranks > 1:
            more["cores"] = "|".join(str(self._cores[rank % 2] or 0) for rank in range(ranks))
        return self.engine("decode", 1, **more)

    def alone(self, size: str) -> Engine:
        """Start an engine without the connector, with a model of a size of the closed loop."""
        folder = self._folder / size
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({**MODEL, **SIZES[size]}))
        return self.engine("alone", 1, connector=False, model=str(folder), load="dummy")

    def prompt(self, tokens: int) -> list[int]:
        """Return a prompt that nobody has seen."""
        return [self._draw.randrange(3, MODEL["vocab_size"]) for _ in range(tokens)]

    def order(self, prompt: list[int], tokens: int, handoff: Any = None) -> dict[str, Any]:
        """Return an order to serve a request."""
        self._count += 1
        made = {"do": "run", "id": f"r{self._count}", "prompt": prompt, "tokens": tokens}
        return {**made, "limit_s": self.limit_s, "handoff": handoff}

    def run(self, engine: Engine, order: dict[str, Any]) -> Answer:
        """Give an order and wait for its end."""
        return engine.ask(1.5 * self.limit_s, **order)

    def offer(self, tokens: int) -> Offer:
        """Compute a prompt on P for somebody else to fetch."""
        wanted = {
            **{"do_remote_decode": True, "do_remote_prefill": False},
            **dict.fromkeys(("remote_engine_id", "remote_block_ids", "remote_host", "remote_port")),
        }
        prompt = self.prompt(tokens)
        answer = self.run(self.prefill, self.order(prompt, 1, wanted))
        held = self.prefill.free - int(answer.get("free", self.prefill.free))
        return Offer(prompt, answer, held, self.prefill.logged(_EXPIRED))

    def fetch(self, offer: Offer, tokens: int = 4, **more: Any) -> dict[str, Any]:
        """Return the order for D to fetch what P offers."""
        given = offer.answer.get("handoff") or {}
        taken = {**given, "do_remote_decode": False, "do_remote_prefill": True, **more}
        return self.order(offer.prompt, tokens, taken)

    def freed(self, offer: Offer) -> dict[str, Any]:
        """Wait until P has all its blocks back and say when, and what made it give them up.

        Seconds count from the end of the prefill; ``between`` are the last look that found blocks
        held and the first that did not.
        """
        before_s, limit_s = 0.0, 3.0 * self.lease_s
        while True:
            free = self.prefill.ask(self.limit_s, do="look").get("free", 0)
            now_s = time.monotonic() - offer.at_s
            if free >= self.prefill.free:
                expired = self.prefill.logged(_EXPIRED) > offer.expired
                return {
                    "freed_by": "lease" if expired else "notice",
                    "freed_after_s": round(now_s, 2),
                    "between_s": [round(before_s, 2), round(now_s, 2)],
                }
            if now_s > limit_s:
                return {"freed_by": "nothing", "freed_after_s": None, "between_s": None}
            before_s = now_s
            time.sleep(_LOOK_S)


def outcome_of_text(got: Answer, own: Answer | None, decode: Engine) -> str:
    """Return what became of a request: served, recomputed, served_wrong, failed or died.

    ``own`` is what D says to the same prompt when it computes all of it.
    """
    if not got.get("ok"):
        return "died" if "died" in str(got.get("why")) else "failed"
    if got.get("finish") == "error" or not got.get("output"):
        return "failed"
    if own is None or not same_first(got, own):
        return "served_wrong"
    return "recomputed" if decode.logged(_FAILED) else "served"


def same_first(got: Answer, own: Answer) -> bool:
    """Return whether two answers begin with the same token, found as likely.

    The first token depends on the KV of the whole prompt; later ones may part by rounding.

    >>> same_first({"output": [7, 1], "surprise": [2.0]}, {"output": [7, 2], "surprise": [2.01]})
    True
    >>> same_first({"output": [7], "surprise": [2.0]}, {"output": [7], "surprise": [2.5]})
    False
    """
    if not own.get("output") or got["output"][0] != own["output"][0]:
        return False
    pair = got.get("surprise"), own.get("surprise")
    return not all(pair) or abs(got["surprise"][0] - own["surprise"][0]) < _NEAR


_REASON = re.compile(r"\b((?:\w+\.)*(?:\w*Error|Again)): (.+)")


def reason_in(text: str) -> str | None:
    r"""Return why a hand-off failed, as the engine's log says it, without what varies.

    >>> log = "NIXL transfer failure: x\nRuntimeError: hash mismatch. Local: ab, Remote: cd"
    >>> reason_in(log)
    'RuntimeError: hash mismatch'
    >>> reason_in("RuntimeError: something else") is None
    True
    """
    lines = text.splitlines()
    first = next((n for n, line in enumerate(lines) if _FAILED in line), len(lines))
    found = [hit for line in lines[first:] if (hit := _REASON.search(line))]
    if not found:
        return None
    kind, words = found[0].groups()
    return f"{kind.rpartition('.')[2]}: {re.split(r'[.:(=]', words)[0].strip()[:120]}"
