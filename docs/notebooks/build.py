"""Notebooks from percent-format sources: `python docs/notebooks/build.py` writes an .ipynb beside each .py.

`# %% [markdown]` begins a cell of text, whose lines stand behind `# `; `# %%` one of code. Cells have the
number of their place for an id and no outputs, so that the same source always makes the same bytes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MARKER = re.compile(r"^# %%(?P<text> \[markdown\])?.*$", re.MULTILINE)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def sources() -> list[Path]:
    """The sources, in order."""
    return sorted(path for path in HERE.glob("*.py") if path.name != "build.py")


def cells(source: str) -> list[dict[str, Any]]:
    """The cells of a source, in order."""
    markers = list(MARKER.finditer(source))
    ends = [marker.start() for marker in markers[1:]] + [len(source)]
    pairs = zip(markers, ends, strict=True)
    return [cell(i, bool(m["text"]), source[m.end() : end].strip("\n")) for i, (m, end) in enumerate(pairs)]


def cell(number: int, is_text: bool, body: str) -> dict[str, Any]:
    if is_text:
        body = "\n".join(re.sub(r"^# ?", "", line) for line in body.splitlines())
    shared = {"id": f"cell-{number}", "metadata": {}, "source": body.splitlines(keepends=True)}
    if is_text:
        return {"cell_type": "markdown", **shared}
    return {"cell_type": "code", "execution_count": None, "outputs": [], **shared}


def notebook(source: str) -> str:
    """The notebook of a source, as JSON."""
    content = {"cells": cells(source), "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path in sources():
        path.with_suffix(".ipynb").write_text(notebook(path.read_text(encoding="utf-8")), encoding="utf-8")
