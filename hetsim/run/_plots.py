"""``Result.plot``: one figure at a time, for notebooks; each returns matplotlib axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from hetsim.run._result import Result

__all__ = ["ResultPlots"]

_LATENCIES = ("ttft", "tpot", "e2e")


class ResultPlots:
    """Figures of a run. Each takes ``ax`` to draw into, else makes a new figure."""

    def __init__(self, result: Result) -> None:
        self._result = result

    def latency(self, name: str = "ttft", ax: Axes | None = None) -> Axes:
        """Draw the distribution of a latency (``ttft``, ``tpot`` or ``e2e``), with its SLO.

        Raises
        ------
        KeyError
            If there is no such latency.
        """
        from hetsim.run._overview import cdf_table, draw_cdf

        if name not in _LATENCIES:
            raise KeyError(f"no latency {name!r}; there are {', '.join(_LATENCIES)}")
        axes = ax if ax is not None else _axes()
        draw_cdf(axes, cdf_table(self._result)[_LATENCIES.index(name)])
        return axes

    def utilisation(self, ax: Axes | None = None) -> Axes:
        """Draw the busy share of every pool over time."""
        from hetsim.run._overview import stages_table

        return self._over_time("utilisation", stages_table(self._result)[0], ax)

    def kv_occupancy(self, ax: Axes | None = None) -> Axes:
        """Draw the share of KV blocks in use of every pool over time."""
        from hetsim.run._overview import stages_table

        return self._over_time("kv_occupancy", stages_table(self._result)[1], ax)

    def backlog(self, ax: Axes | None = None) -> Axes:
        """Draw how many requests wait, are in prefill, are handed over, and decode."""
        from hetsim.run._overview import backlog_table

        return self._over_time("backlog", backlog_table(self._result), ax)

    def critical_path(self, ax: Axes | None = None) -> Axes:
        """Draw where the time goes: the mean of all requests, and of the slowest tenth."""
        from hetsim.run._overview import draw_path, path_table

        axes = ax if ax is not None else _axes(width=9.0, height=2.6)
        draw_path(axes, path_table(self._result))
        return axes

    def overview(self) -> Figure:
        """Draw everything that ``hetsim run --plot`` draws, and write nothing."""
        from hetsim.run._overview import draw_figure

        return draw_figure(self._result)

    def _over_time(self, name: str, table: Any, ax: Axes | None) -> Axes:
        from hetsim.run._overview import LINES, draw_lines

        axes = ax if ax is not None else _axes()
        draw_lines(axes, table, LINES[name], share=name != "backlog")
        return axes


def _axes(width: float = 6.4, height: float = 3.6) -> Axes:
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(width, height), layout="constrained")[1]
