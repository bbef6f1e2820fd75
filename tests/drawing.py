"""`python tests/drawing.py STORE NAME…`: draw studies from their saved rows, where Keras cannot be imported.

In the process that waits for the workers it would cost ten seconds and a gigabyte. Prints by the name of each
study what went wrong.
"""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

import pandas as pd

from crosscheck.claims import register
from crosscheck.report.figures import theme
from crosscheck.report.tables import to_markdown
from crosscheck.running import plan, store


def draw(name: str, folder: Path) -> None:
    """From all rows of the store, and from those that a machine without other sets than the digits has."""
    study, request = register.load(name), plan.Request((name,), Path(), Path(), "smoke")
    units = plan.make(request).units[name]
    table, figure = drawn(study, store.rows(folder, units)[0])
    assert len(table) and not table.isna().to_numpy().all()
    assert to_markdown(table)
    panels = [ax for ax in figure.axes if ax.get_label() != "<colorbar>"]
    assert panels and all(ax.get_title(loc="left") and (ax.has_data() or ax.texts) for ax in panels)
    drawn(study, store.rows(folder, [unit for unit in units if set(unit.data) <= {"digits"}])[0])


def drawn(study: Any, rows: pd.DataFrame) -> tuple[pd.DataFrame, Any]:
    """The study's table and figure, from rows that have to stay as they are."""
    saved = rows.copy()
    table = study.table(rows)
    with theme():
        figure = study.figure(rows)
    assert saved.equals(rows), "drawing must not change the rows"
    return table, figure


if __name__ == "__main__":
    assert "keras" not in sys.modules
    sys.modules["keras"] = None  # type: ignore[assignment] - to import it is an error
    faults = {}
    for name in sys.argv[2:]:
        try:
            with warnings.catch_warnings(action="error"):
                draw(name, Path(sys.argv[1]))
        except Exception:
            faults[name] = traceback.format_exc()
    print(json.dumps(faults))
