"""Notebooks: short cells, nothing stored, no machine's paths; and every one runs from end to end.

Executed in a kernel of their own, in the folder they lie in; a word on stderr (a warning) fails.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_LINES = 20
ABSOLUTE = re.compile(
    r"""["'`(]/[A-Za-z]|["'`(][A-Za-z]:\\|(?<![\w.])/(home|root|tmp|usr|work|Users|mnt)/"""
)
EXECUTE = """
import json, sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], 4)
client = NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True)
client.execute(cwd=sys.argv[2])
found = [(cell.source, out) for cell in notebook.cells for out in cell.get("outputs", [])]
kept = [(source, out) for source, out in found if out.output_type in ("error", "stream")]
print(json.dumps({"outputs": len(found), "kept": kept}))
"""

every = pytest.mark.parametrize("path", NOTEBOOKS, ids=[path.stem for path in NOTEBOOKS])


def cells(path: Path, kind: str) -> list[Any]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def source(cell: Any) -> str:
    return "".join(cell["source"])


def test_the_tour_is_complete() -> None:
    assert [path.name[:2] for path in NOTEBOOKS if path.name[0] == "0"] == [
        *("01", "02", "03", "04", "05", "06")
    ]


@every
def test_code_cells_are_short_and_hold_no_output(path: Path) -> None:
    for cell in cells(path, "code"):
        text = source(cell)
        assert len(text.splitlines()) <= MOST_LINES, text
        assert not cell["outputs"] and cell["execution_count"] is None, text
        assert not cell["metadata"], text


@every
def test_any_python_kernel_runs_it(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert set(notebook["metadata"]["language_info"]) == {"name"}
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


@every
def test_no_path_of_a_machine(path: Path) -> None:
    for cell in [*cells(path, "code"), *cells(path, "markdown")]:
        assert not ABSOLUTE.search(source(cell)), source(cell)


@every
def test_it_begins_by_saying_what_it_is(path: Path) -> None:
    first = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
    assert first["cell_type"] == "markdown" and source(first).startswith("# ")
    assert len(source(first).split()) > 20


@pytest.mark.slow
@every
def test_it_runs(path: Path) -> None:
    missing = [name for name in ("nbclient", "ipykernel") if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"{', '.join(missing)} absent: pip install 'hetsim[notebooks]'")
    command = [sys.executable, "-c", EXECUTE, str(path), str(path.parent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    for text, out in found["kept"]:
        where = f"in the cell\n{text}"
        assert out["output_type"] != "error", f"{out.get('ename')}: {out.get('evalue')} {where}"
        assert out["name"] == "stdout", f"{out['text']} {where}"
    assert found["outputs"] > len(found["kept"]), "a notebook shows something"


def test_notebooks_are_linted_as_the_package_is() -> None:
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.is_file():
        pytest.skip("ruff absent: pip install 'hetsim[dev]'")
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [str(ruff), *words, str(FOLDER)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
    makefile = (FOLDER.parent / "Makefile").read_text(encoding="utf-8")
    lint = makefile.partition("\nlint:")[2].partition("\n\n")[0]
    assert all("notebooks" in line for line in lint.splitlines() if "ruff" in line)
