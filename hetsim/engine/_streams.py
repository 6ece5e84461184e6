"""One seed, named child streams, and draws that belong to identities.

A draw is a function of (seed, stream, identity), so it does not depend on who asked first: two
designs that route differently still see the same request 17.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Streams"]

_MASK = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1, _MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


class Streams:
    """The random streams of one run.

    >>> Streams(7).uniform("routing", 12) == Streams(7).uniform("routing", 12)
    True
    """

    __slots__ = ("_keys", "seed")

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._keys: dict[str, int] = {}

    def generator(self, name: str, *identity: int) -> np.random.Generator:
        """Return a fresh generator for ``name`` and ``identity``; equal arguments, equal draws.

        Source: numpy.random.SeedSequence, spawn keys; the name enters by its BLAKE2b digest, since
        Python's own hash differs from process to process.
        """
        import numpy as np

        digest = blake2b(name.encode(), digest_size=16).digest()
        words = tuple(int.from_bytes(digest[at : at + 4], "little") for at in range(0, 16, 4))
        parts = tuple(word for value in identity for word in (value & 0xFFFFFFFF, value >> 32))
        sequence = np.random.SeedSequence(abs(self.seed), spawn_key=(*words, *parts))
        return np.random.Generator(np.random.PCG64(sequence))

    def uniform(self, name: str, *identity: int) -> float:
        """Return one number in [0, 1) that belongs to ``identity``, cheaper than a generator.

        Source: SplitMix64, Steele, Lea and Flood, Fast splittable pseudorandom number generators,
        OOPSLA 2014, as a hash chained over the identity.
        """
        state = self._key(name)
        for value in identity:
            state = _mix(state ^ _mix((value + 1) * _GOLDEN & _MASK))
        return (state >> 11) * 2.0**-53

    def uniforms(self, name: str, ids: NDArray[np.int64], *identity: int) -> NDArray[np.float64]:
        """Return ``uniform(name, i, *identity)`` for every ``i`` of ``ids``, bit for bit."""
        import numpy as np

        u64 = np.uint64
        with np.errstate(over="ignore"):
            state = u64(self._key(name)) ^ _mix_array((ids.astype(u64) + u64(1)) * u64(_GOLDEN))
            state = _mix_array(state)
            for value in identity:
                state = _mix_array(state ^ u64(_mix((value + 1) * _GOLDEN & _MASK)))
        return (state >> u64(11)).astype(np.float64) * 2.0**-53

    def _key(self, name: str) -> int:
        key = self._keys.get(name)
        if key is None:
            text = f"{self.seed}/{name}".encode()
            key = int.from_bytes(blake2b(text, digest_size=8).digest(), "little")
            self._keys[name] = key
        return key


def _mix(value: int) -> int:
    value = (value ^ (value >> 30)) * _MIX_1 & _MASK
    value = (value ^ (value >> 27)) * _MIX_2 & _MASK
    return value ^ (value >> 31)


def _mix_array(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    import numpy as np

    u64 = np.uint64
    value = (value ^ (value >> u64(30))) * u64(_MIX_1)
    value = (value ^ (value >> u64(27))) * u64(_MIX_2)
    return value ^ (value >> u64(31))
