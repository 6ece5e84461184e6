"""What a fit says of shapes that it has not seen: predictions, errors, residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.calibrate._fit import Bound, fit, fold_of
from hetsim.calibrate._models import Model
from hetsim.calibrate._row_table import fit_rows, table_seconds

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["by_range", "errors_of", "held_back_seconds", "held_back_table", "residuals_of"]

REGIMES = ((8.0, "m to 8"), (128.0, "m 9 to 128"), (1e12, "m above 128"))


def held_back_seconds(bounds: tuple[Bound, ...], model: Model, sample: Any) -> Any:
    """Return what a fit to the other families gives for each point."""
    import numpy as np

    folds = fold_of(sample)
    predicted = np.zeros(len(sample))
    for fold in np.unique(folds):
        rows = folds == fold
        parameters = fit(bounds, model.seconds, sample.take(~rows))
        predicted[rows] = model.seconds(parameters, sample.take(rows).columns)
    return predicted


def held_back_table(
    frame: pd.DataFrame, sample: Any, bounds: tuple[Bound, ...], model: Model
) -> Any:
    """Return what tables of the other shapes give for each; None if one cannot be made."""
    import numpy as np

    folds = fold_of(sample)
    predicted = np.zeros(len(sample))
    for fold in np.unique(folds):
        rows = folds == fold
        parameters = fit(bounds, model.seconds, sample.take(~rows))
        t0_s = parameters["t0_us"] * 1e-6
        table = fit_rows(frame[~rows], t0_s)
        if table is None:
            return None
        predicted[rows] = table_seconds(table, t0_s, frame[rows])
    return predicted


def errors_of(predicted: Any, sample: Any) -> tuple[float, float]:
    """Return median and 90th percentile of the relative error, where the form is valid."""
    import numpy as np

    miss = np.abs(predicted / sample.time_s - 1.0)
    miss = miss[sample.inside] if sample.inside.any() else miss
    return float(np.median(miss)), float(np.quantile(miss, 0.9))


def by_range(frame: pd.DataFrame, predicted: Any, sample: Any) -> dict[str, float]:
    """Return the median error by range of m."""
    import numpy as np

    miss = np.abs(predicted / sample.time_s - 1.0)
    rows, found, low = frame["m"].to_numpy(float), {}, 0.0
    for high, name in REGIMES:
        inside = (rows > low) & (rows <= high)
        if inside.any():
            found[name] = float(np.median(miss[inside]))
        low = high
    return found


def residuals_of(frame: pd.DataFrame, predicted: Any, sample: Any) -> pd.DataFrame:
    """Return ``time_s, predicted_s, work`` of every point."""
    import pandas as pd

    work = frame["flops"] if float(frame["flops"].max()) > 0.0 else frame["bytes"]
    columns = {"time_s": sample.time_s, "predicted_s": predicted, "work": work.to_numpy(float)}
    return pd.DataFrame(columns)
