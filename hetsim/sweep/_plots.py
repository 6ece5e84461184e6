"""``SweepResult.plot``: figures to explore in a notebook; each returns a plotly figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hetsim.sweep._result import SweepResult

__all__ = ["SweepPlots"]


class SweepPlots:
    """Figures of a sweep, over the points that were simulated (means over seeds)."""

    def __init__(self, result: SweepResult) -> None:
        self._result = result

    def front(
        self, x: str = "cost_usd_per_mtok", y: str = "goodput_req_s", color: str | None = None
    ) -> Any:
        """Return two metrics against each other, the Pareto front of each condition marked.

        ``color`` is an axis; left out, the conditions tell points apart.

        Raises
        ------
        KeyError
            If a metric is no column of the points, or ``color`` no axis.
        """
        import plotly.graph_objects as go

        table = self._result.means()
        self._known(table, (x, y))
        ahead = set(self._result.pareto((x, y))["point"])
        axis = color or next(iter(self._result.conditions), self._result.axes[0])
        figure = go.Figure()
        for label, part in table.groupby(self._column(axis), observed=True):
            on = part["point"].isin(ahead)
            figure.add_scatter(
                x=part[x],
                y=part[y],
                mode="markers",
                name=str(label),
                text=self._texts(part),
                marker={"size": [11 if one else 6 for one in on], "opacity": 0.8},
                marker_symbol=["diamond" if one else "circle" for one in on],
            )
        title = f"{y} against {x}; the front as diamonds"
        figure.update_layout(title=title, xaxis_title=x, yaxis_title=y, legend_title=axis)
        return figure

    def parallel(self, metrics: Sequence[str] = ()) -> Any:
        """Return parallel coordinates: every axis, then metrics; drag along an axis to filter.

        Raises
        ------
        KeyError
            If a metric is no column of the points.
        """
        import plotly.graph_objects as go

        table = self._result.means()
        response = self._result.manifest["response"]["metric"]
        names = tuple(metrics) or (response,)
        self._known(table, names)
        dimensions: list[dict[str, Any]] = []
        for axis in self._result.axes:
            codes = table[self._column(axis)].astype("category")
            words = [str(word) for word in codes.cat.categories]
            dimensions.append(
                {
                    "label": axis,
                    "values": codes.cat.codes,
                    "tickvals": list(range(len(words))),
                    "ticktext": words,
                }
            )
        dimensions += [{"label": name, "values": table[name]} for name in names]
        line = {"color": table[names[0]], "colorscale": "Viridis", "showscale": True}
        return go.Figure(go.Parcoords(dimensions=dimensions, line=line))

    def levels(self, axis: str, metric: str | None = None) -> Any:
        """Return the spread of a metric by the level of one axis, one box a level.

        Raises
        ------
        KeyError
            If there is no such axis, or the metric is no column of the points.
        """
        import plotly.graph_objects as go

        table = self._result.means()
        name = metric or self._result.manifest["response"]["metric"]
        self._known(table, (name,))
        figure = go.Figure()
        for label, part in table.groupby(self._column(axis), observed=True):
            figure.add_box(y=part[name], name=str(label), boxpoints="all", text=self._texts(part))
        figure.update_layout(xaxis_title=axis, yaxis_title=name, showlegend=False)
        return figure

    def _column(self, axis: str) -> str:
        if axis not in self._result.axes:
            raise KeyError(f"no axis {axis!r}; there are {', '.join(self._result.axes)}")
        return f"axis.{axis}"

    def _known(self, table: Any, names: Sequence[str]) -> None:
        missing = [name for name in names if name not in table]
        if missing:
            raise KeyError(f"no simulated point has {', '.join(missing)}")

    def _texts(self, part: Any) -> list[str]:
        axes = self._result.axes
        return [
            "<br>".join(f"{name}: {row[f'axis.{name}']}" for name in axes)
            for row in part.to_dict("records")
        ]
