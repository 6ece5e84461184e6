"""Samples of the device at hand to its calibration: the whole of ``hetsim calibrate fit``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hetsim.calibrate._measured import KernelFit, fit_kernels, nominal_from
from hetsim.calibrate._measured_write import draw_residuals, measured_page, measured_text
from hetsim.calibrate._samples import Samples, clean_samples, read_samples
from hetsim.calibrate._write import publish
from hetsim.errors import HetsimError, Problem, ScenarioError
from hetsim.hardware import Accelerator, get_accelerator, load_accelerator_file
from hetsim.spec import spec

__all__ = ["MeasuredFit", "fit_samples"]

TARGETS = {"gemm": 0.12, "attention_prefill": 0.15, "attention_decode": 0.15}
"""Median error in bf16 on held-back shapes that a calibration should reach."""


@spec
class MeasuredFit:
    """What was fitted, and where it was written."""

    device: str
    provider: str
    date: str
    kernels: tuple[KernelFit, ...]
    """All providers; only those of ``provider`` stand in the calibration."""
    samples: Samples
    path: Path | None
    files: tuple[Path, ...]
    verdict: str
    """That of the samples: ``good`` or ``inconclusive``."""

    def missed(self) -> list[str]:
        """Say which kinds miss their target in bf16, or were not measured in it."""
        found = {k.kind: k for k in self.kernels if (k.format, k.provider) == ("bf16", "torch")}
        said = []
        for kind, target in TARGETS.items():
            error = found[kind].error if kind in found else None
            if error is None:
                said.append(f"{kind}: not measured in bf16")
            elif error[0] > target:
                said.append(f"{kind}: {error[0]:.1%} on held-back shapes; {target:.0%} wanted")
        return said


def fit_samples(
    paths: Sequence[Path],
    *,
    out: Path | None = None,
    date: str | None = None,
    provider: str = "torch",
    accelerator: str | None = None,
    plot: Path | None = None,
) -> MeasuredFit:
    """Fit samples and write ``<out>/<date>.yaml``, the other providers' files and ``FIT.md``.

    ``out`` defaults to the folder of the first samples, ``date`` to that of the newest. With
    ``out`` and ``date`` as they are, runs with that accelerator use it from then on.

    Raises
    ------
    ScenarioError
        If samples are missing, malformed or none usable, or the device has no profile.
    """
    raw, manifests = read_samples(paths)
    samples = clean_samples(raw, manifests)
    folder = Path(paths[0]) if Path(paths[0]).is_dir() else Path(paths[0]).parent
    device = _device(accelerator or samples.device, folder)
    cache = max((float(m["device"].get("cache_bytes", 0.0)) for m in manifests), default=0.0)
    kernels = fit_kernels(samples, device, cache)
    if provider not in {kernel.provider for kernel in kernels}:
        have = ", ".join(sorted({kernel.provider for kernel in kernels}))
        raise ScenarioError(Problem(f"no samples of provider {provider!r}; there is: {have}"))
    day = date or max((str(m["date"]) for m in manifests), default="")
    if not day:
        raise ScenarioError(Problem("samples without a manifest need a date"))
    place = out or folder
    nominal = nominal_from(device)
    texts = {place / f"{day}.yaml": measured_text(kernels, samples, nominal, day, provider)}
    for other in sorted({k.provider for k in kernels if k.plain is not None} - {provider}):
        text = measured_text(kernels, samples, nominal, day, other)
        texts[place / "providers" / f"{other}-{day}.yaml"] = text
    texts[place / "FIT.md"] = measured_page(kernels, samples, nominal, day)
    for path, text in texts.items():
        publish(path, text)
    drawn = draw_residuals(kernels, plot) if plot is not None else []
    return MeasuredFit(
        device=nominal.name,
        provider=provider,
        date=day,
        kernels=kernels,
        samples=samples,
        path=place / f"{day}.yaml",
        files=(*texts, *drawn),
        verdict=samples.verdict,
    )


def _device(name: str, folder: Path) -> Accelerator:
    """Return the profile: one that is known, or the one that the measurement wrote."""
    if not name:
        raise ScenarioError(Problem("samples without a manifest need an accelerator's name"))
    own = folder / "accelerator" / f"{name}.yaml"
    if own.is_file():
        return load_accelerator_file(own)
    try:
        return get_accelerator(name)
    except HetsimError:
        raise ScenarioError(
            Problem(f"no profile of {name!r}; measure memory bandwidth and bf16 GEMM to make one")
        ) from None
