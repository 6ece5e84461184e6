"""How many KV blocks fit beside weights, activations and reserve, and the line that says so."""

from __future__ import annotations

from hetsim.errors import InfeasibleError
from hetsim.spec import spec
from hetsim.units import format_bytes

__all__ = ["Capacity", "kv_capacity"]


@spec
class Capacity:
    """The memory of one device, divided. Blocks are of one DP rank, sharded over its devices."""

    memory_bytes: float
    utilisation: float
    weight_bytes: float
    activation_bytes: float
    reserve_bytes: float
    block_bytes: float
    block_tokens: int
    blocks: int

    @property
    def tokens(self) -> int:
        """Tokens that the blocks hold."""
        return self.blocks * self.block_tokens

    def line(self) -> str:
        """Return the capacity line that is printed for a pool."""
        return (
            f"{format_bytes(self.memory_bytes)} x {self.utilisation:g}"
            f" - weights {format_bytes(self.weight_bytes)}"
            f" - activations {format_bytes(self.activation_bytes)}"
            f" - reserve {format_bytes(self.reserve_bytes)}"
            f" = {self.blocks} blocks of {self.block_tokens} tokens"
            f" ({self.tokens} tokens)"
        )


def kv_capacity(
    *,
    name: str,
    memory_bytes: float,
    utilisation: float,
    weight_bytes: float,
    activation_bytes: float,
    reserve_bytes: float,
    kv_bytes_per_token: float,
    block_tokens: int,
) -> Capacity:
    """Return the KV capacity of a device.

    ``blocks = floor((memory * utilisation - weights - activations - reserve) / block_bytes)``.

    Raises
    ------
    InfeasibleError
        If the weights do not fit, or not one block does: need, have, short by, largest terms.
    """
    budget = memory_bytes * utilisation
    fixed = weight_bytes + activation_bytes + reserve_bytes
    block_bytes = kv_bytes_per_token * block_tokens
    blocks = int((budget - fixed) // block_bytes) if block_bytes > 0 else 0
    if budget < fixed or (block_bytes > 0 and blocks < 1):
        need = fixed + block_bytes
        raise InfeasibleError(
            f"{name}: does not fit: needs {format_bytes(need)} per device, has "
            f"{format_bytes(budget)} ({format_bytes(memory_bytes)} x {utilisation:g}), "
            f"short by {format_bytes(need - budget)}; raise parallel.tp or parallel.pp, narrow "
            "precision.weights, or take a device with more memory",
            (
                ("weights per device", format_bytes(weight_bytes)),
                ("activations", format_bytes(activation_bytes)),
                ("reserve", format_bytes(reserve_bytes)),
            ),
        )
    return Capacity(
        memory_bytes=memory_bytes,
        utilisation=utilisation,
        weight_bytes=weight_bytes,
        activation_bytes=activation_bytes,
        reserve_bytes=reserve_bytes,
        block_bytes=block_bytes,
        block_tokens=block_tokens,
        blocks=blocks,
    )
