"""The notebooks are what their sources make, and every source runs to its asserts."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
SLOW = ("practice_diagnose",)


def load_builder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("notebook_builder", FOLDER / "build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = load_builder()
SOURCES = build.sources()


def case(path: Path):
    return pytest.param(path, id=path.stem, marks=[pytest.mark.long] if path.stem in SLOW else [])


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_is_what_its_source_makes(path: Path) -> None:
    made = build.notebook(path.read_text(encoding="utf-8"))
    assert path.with_suffix(".ipynb").read_text(encoding="utf-8") == made, "run docs/notebooks/build.py"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_a_notebook_begins_with_words_and_ends_in_asserts(path: Path) -> None:
    cells = json.loads(path.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    assert cells[0]["cell_type"] == "markdown" and "".join(cells[0]["source"]).startswith("# ")
    assert "assert " in "".join(cells[-1]["source"])


def test_cells_are_read_as_text_and_code() -> None:
    text, code = build.cells("# %% [markdown]\n# # A\n#\n# b\n\n# %%\nx = 1\n\nassert x\n")
    assert (text["cell_type"], "".join(text["source"])) == ("markdown", "# A\n\nb")
    assert (code["cell_type"], "".join(code["source"])) == ("code", "x = 1\n\nassert x")


@pytest.mark.parametrize("path", [*map(case, SOURCES)])
def test_a_source_runs_to_its_asserts(path: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(path.read_text(encoding="utf-8"), path.name, "exec"), {"__name__": path.stem})
