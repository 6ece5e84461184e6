"""``hetsim calibrate``: the parameters of a device, and errors that name what is wrong."""

from __future__ import annotations

import json

from hetsim.cli import invoke


def test_show_lists_fitted_operators_with_their_source(capsys):
    assert invoke(["calibrate", "show", "h100", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["operators"]
    gemm = next(r for r in rows if (r["operator"], r["format"]) == ("gemm", "bf16"))
    assert gemm["grade"] == "fitted" and "aiconfigurator" in gemm["source"]
    assert 0.5 < gemm["e_m"] <= 1.0 and 0.0 < gemm["rse"] < 0.3


def test_show_fits_80_columns(capsys):
    assert invoke(["calibrate", "show", "l40s"]) == 0
    assert max(len(line) for line in capsys.readouterr().out.splitlines()) <= 80


def test_unknown_names_are_answered(capsys):
    assert invoke(["calibrate", "show", "h100-sxn"]) == 2
    assert "did you mean 'h100-sxm'" in capsys.readouterr().err
    assert invoke(["calibrate", "import", "--date", "2026-11-24", "--root", "nothing"]) == 2
    assert "ADAPTER=FOLDER" in capsys.readouterr().err
