"""Figures of a run are the same from the rows in memory and from the files."""

from __future__ import annotations

from hetsim.metrics import _recorder
from hetsim.run import run


def _summary(folder):
    summary = run("quickstart", out=folder, sets=("workload.requests=60",)).summary
    return {name: value for name, value in summary.items() if name != "wall_s"}


def test_figures_do_not_depend_on_where_the_rows_are(monkeypatch, tmp_path):
    kept = _summary(tmp_path / "kept")
    monkeypatch.setattr(_recorder, "_KEPT_BYTES", 0)
    assert _summary(tmp_path / "read") == kept


def test_rows_are_let_go_when_they_are_many(monkeypatch, tmp_path):
    monkeypatch.setattr(_recorder, "_KEPT_BYTES", 0)
    recorders = []
    made = _recorder.Recorder.__init__

    def note(self, folder=None):
        made(self, folder)
        recorders.append(self)

    monkeypatch.setattr(_recorder.Recorder, "__init__", note)
    _summary(tmp_path / "read")
    assert not recorders[0]._batches
