"""What is run for real: models, prompts, hand-offs. Plain data that travels between processes."""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Ask", "Case", "Handoff", "ModelKey", "cases_of", "tokens_room"]

Through = Literal["tcp", "shared_memory"]
Side = Literal["none", "producer", "consumer", "both"]


class ModelKey(NamedTuple):
    """One model in memory: a size of the list, in one format of weights and arithmetic."""

    size: str
    format: str


class Handoff(NamedTuple):
    """How KV crosses: format in D's cache, format on the wire, and what carries it."""

    kv: str
    wire: str
    through: Through = "tcp"

    def side(self, native: str) -> Side:
        """Return who converts, if the prefill side makes KV in ``native``.

        >>> Handoff("int8", "int8").side("bf16"), Handoff("int8", "bf16").side("bf16")
        ('producer', 'consumer')
        >>> Handoff("bf16", "int8").side("bf16"), Handoff("bf16", "bf16").side("bf16")
        ('both', 'none')
        """
        producer, consumer = self.wire != native, self.kv != self.wire
        if producer and consumer:
            return "both"
        return "producer" if producer else "consumer" if consumer else "none"


class Ask(NamedTuple):
    """One request: when it comes, prompt tokens, output tokens, and what its prompt is drawn by."""

    arrival_s: float
    isl: int
    osl: int
    seed: int


class Case(NamedTuple):
    """Requests that are run together through one pair."""

    name: str
    model: ModelKey
    handoff: Handoff
    asks: tuple[Ask, ...]

    @property
    def alone(self) -> bool:
        """Whether one request has both processes to itself."""
        return len(self.asks) == 1


def _alone(model: ModelKey, handoff: Handoff, isl: int, osl: int) -> Case:
    name = f"{model.size} {model.format} {isl}+{osl} {handoff.kv}/{handoff.wire} {handoff.through}"
    return Case(name, model, handoff, (Ask(0.0, isl, osl, isl),))


def _together(model: ModelKey, lengths: tuple[int, ...], osl: int, gap_s: float) -> Case:
    handoff = Handoff(model.format, model.format)
    asks = tuple(Ask(i * gap_s, isl, osl + 4 * (i % 3), i) for i, isl in enumerate(lengths))
    return Case(f"{model.size} {model.format} {len(asks)} together", model, handoff, asks)


def cases_of(sizes: tuple[str, ...], formats: tuple[str, ...], *, quick: bool) -> tuple[Case, ...]:
    """Return the cases of a loop: prompts alone, requests together, every kind of hand-off.

    >>> len(cases_of(("30m",), ("bf16",), quick=True))
    9
    """
    prompts = (128, 768) if quick else (128, 384, 1024)
    longest, osl = prompts[-1], 6 if quick else 9
    together = (128, 256, 128, 192) if quick else (128, 256, 128, 384, 192, 128)
    made: list[Case] = []
    for size in sizes:
        for fmt in formats:
            model = ModelKey(size, fmt)
            plain = Handoff(fmt, fmt)
            made += [_alone(model, plain, isl, osl) for isl in prompts]
            made.append(_together(model, together, 2 * osl, 1e-3))
        first = ModelKey(size, formats[0])
        made += [_alone(first, handoff, longest, osl) for handoff in _conversions(formats[0])]
    return tuple(made)


def _conversions(native: str) -> list[Handoff]:
    """Return the hand-offs beside the plain one over TCP."""
    made = [Handoff(native, native, "shared_memory")]
    for narrow in ("int8", "fp8_e4m3"):
        made += [Handoff(narrow, narrow), Handoff(narrow, native)]
    made.append(Handoff(native, "int8"))
    return made[:5] if native != "bf16" else made


def tokens_room(cases: tuple[Case, ...]) -> int:
    """Return the tokens that one cache of D must hold for any request of ``cases``."""
    return max(ask.isl + ask.osl for case in cases for ask in case.asks)
