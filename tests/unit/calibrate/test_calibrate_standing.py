"""What the page of kernel fits says of its target, from its own tables."""

from __future__ import annotations

from hetsim.calibrate._standing import standing_text

HEAD = "| kind | format | form | shapes | families | in sample | held back | bias | dropped |"


def row(kind: str, fmt: str, form: str, shapes: int, held: float) -> str:
    return f"| {kind} | {fmt} | {form} | {shapes} | 9 | 1.0 / 2 | {held} / 30 | +0.1 |  |"


def test_the_better_form_of_every_published_fit_counts() -> None:
    lines = [
        HEAD,
        row("gemm", "bf16", "plain", 500, 12.0),
        row("gemm", "bf16", "shaped", 500, 7.9),
        row("gemm", "fp8", "plain", 500, 9.5),
        row("gemm", "int8", "plain", 49, 30.0),
        row("gemm", "fp4", "plain, not published", 500, 40.0),
        "| all_reduce | 8 | 18 | 1 | 1.0 / 2 | 50.0 / 60 |",
    ]
    text = standing_text({"a": "\n".join(lines), "b": row("gemm", "bf16", "plain", 50, 20.0)})
    assert "| gemm | 3 | 2 | b bf16 20.0, a fp8 9.5 |" in text
    assert "all_reduce" not in text


def test_a_kind_without_misses_says_so() -> None:
    text = standing_text({"a": row("elementwise", "bf16", "plain", 60, 5.0)})
    assert "| elementwise | 1 | 0 | - |" in text
