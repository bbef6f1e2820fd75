"""Writes `explorables.json`: how the report's figures look and read as they open, drawn by their script.

    python tests/draw_explorables.py

It wants Chromium; `tests/test_explorables.py` says when it is due.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import browser
import msgspec

from crosscheck.report import explorables, page

OPENING = """
return Object.fromEntries([...doc.querySelectorAll(".explorable")].map((figure) => {
  const curves = {}, readings = {}, shown = {};
  for (const path of figure.querySelectorAll("path[data-curve]"))
    (curves[path.closest("svg").dataset.panel] ??= {})[path.dataset.curve] = path.getAttribute("d");
  for (const reading of figure.querySelectorAll("data")) {
    readings[reading.dataset.name] = Number(reading.value);
    shown[reading.dataset.name] = reading.textContent;
  }
  return [figure.id, { curves, readings, shown, says: figure.querySelector(".says").textContent }];
}));"""


class Anything(dict):
    """An opening that nobody has drawn yet."""

    def __missing__(self, key: Any) -> Any:
        return ""


def alone(folder: Path, openings: Any) -> Path:
    """The figures on a page of their own, with what they open as."""
    content = {"explorables": explorables.FIGURES, "openings": openings}
    figures = page.environment().get_template("explorables.html.j2").render(content)
    style = (page.TEMPLATES / "report.css").read_text(encoding="utf-8")
    script = explorables.SCRIPT.read_text(encoding="utf-8")
    path = folder / "figures.html"
    head = '<!DOCTYPE html><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    path.write_text(f"{head}<style>{style}</style><main>{figures}</main><script>{script}</script>", "utf-8")
    return path


def undrawn() -> dict[str, Any]:
    curves = {panel.name: Anything() for figure in explorables.FIGURES for panel in figure.panels}
    empty = {"curves": curves, "readings": Anything(), "shown": Anything(), "says": ""}
    return {figure.id: empty for figure in explorables.FIGURES}


def drawn(openings: Any) -> dict[str, Any]:
    """What the script makes of the figures, whatever they opened as.

    Raises:
        RuntimeError: where the script failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        seen = browser.look(alone(Path(folder), openings), {"opening": (1280, OPENING)})
    if seen["console"] or "error" in seen["opening"]:
        raise RuntimeError(f"{seen['console']} {seen['opening'].get('error', '')}")
    return seen["opening"]


if __name__ == "__main__":
    text = json.dumps(drawn(undrawn()), ensure_ascii=False, indent=1)
    msgspec.json.decode(text, type=dict[str, explorables.Opening])
    explorables.OPENING.write_text(text + "\n", "utf-8")
