"""The words of the committed figures: all within their figure, and none written over another."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from crosscheck.report import figures, lettering, svg

ROOT = Path(__file__).parents[1]
FIGURES = sorted((ROOT / "results").glob("*/figure.svg"))
PICTURES = sorted((ROOT / "results").rglob("figure.png"))
TAG = f"{{{svg.NAMESPACE}}}"
NUMBER = r"(-?[\d.]+)"
PLACES = re.compile(rf"(translate|rotate)\({NUMBER}(?: {NUMBER})?(?: {NUMBER})?\)")
LOWER, UPPER = 0.2, 0.72  # of a size: as far as digits and most letters reach below and above their line


class Box(NamedTuple):
    """The room that a text takes, in points; y grows downwards."""

    text: str
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Box) -> bool:
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return wide > 1 and high > 1  # a point is what rounding and a letter's own margin may take


def boxes(content: str) -> list[Box]:
    """Of all texts that stand upright, or on their side."""
    root = ElementTree.fromstring(content)
    classes = dict(
        re.findall(
            r"\.(\w+)\{([^}]*)\}",
            "".join(
                root.itertext(),
            ),
        )
    )
    return [found for text in root.iter(f"{TAG}text") if (found := box(text, classes))]


def styled(element: ElementTree.Element, classes: dict[str, str]) -> dict[str, str]:
    style = f"{classes.get(element.get('class', ''), '')};{element.get('style', '')}"
    return dict(part.split(":", 1) for part in style.split(";") if ":" in part)


def box(text: ElementTree.Element, classes: dict[str, str]) -> Box | None:
    """None of a text that leans."""
    x, y, angle = float(text.get("x", 0)), float(text.get("y", 0)), 0.0
    for kind, first, second, _ in PLACES.findall(text.get("transform", "")):
        if kind == "translate":
            x, y = x + float(first), y + float(second or 0)
        else:
            angle = float(first)
    if angle not in (0.0, -90.0):
        return None
    style = styled(text, classes)
    size, wide = extent(text, style, classes)
    start = {"middle": -wide / 2, "end": -wide}.get(style.get("text-anchor", ""), 0.0)
    words = "".join(text.itertext())
    if angle:
        return Box(words, x - UPPER * size, y - start - wide, x + LOWER * size, y - start)
    return Box(words, x + start, y - UPPER * size, x + start + wide, y + LOWER * size)


def extent(text: ElementTree.Element, style: dict[str, str], classes: dict[str, str]) -> tuple[float, float]:
    """Size of the letters and width of the line; of a formula, of its largest part and up to its last."""
    parts = [(float(part.get("x", "0").split()[-1]), styled(part, classes)) for part in text]
    if not parts:
        size = style["font-size"]
        words = text.text or ""
        return float(size.removesuffix("px")), lettering.width(words, f"font-size:{size};{weight(style)}")
    sizes = [float({**style, **own}["font-size"].removesuffix("px")) for _, own in parts]
    return max(sizes), max(x + 0.6 * size for (x, _), size in zip(parts, sizes, strict=True))


def weight(style: dict[str, str]) -> str:
    return f"font-weight:{style.get('font-weight', '400')}"


def cut(content: str) -> list[str]:
    """The texts that stick out of their figure."""
    _, _, wide, high = map(float, ElementTree.fromstring(content).attrib["viewBox"].split())
    inside = lambda one: one.left >= -1 and one.top >= -1 and one.right <= wide + 1 and one.bottom <= high + 1
    return [one.text for one in boxes(content) if not inside(one)]


def written_over(content: str) -> list[tuple[str, str]]:
    """The pairs of texts that share room."""
    return [(a.text, b.text) for a, b in combinations(boxes(content), 2) if a.overlaps(b)]


@pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.parent.name)
def test_no_word_is_cut_and_none_is_written_over_another(path: Path) -> None:
    content = path.read_text(encoding="utf-8")
    assert not cut(content)
    assert not written_over(content)


def drawing(title: str, ticks: list[str]) -> str:
    with figures.theme():
        figure, (ax,) = figures.panels()
        ax.set(title=title, xlim=(0, 1))
        ax.set_xticks([0.5, 0.51][: len(ticks)], ticks)
        return figures.rendered(figure, "svg", {"Date": None, "Creator": None}).decode()


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: str(path.parent.relative_to(ROOT / "results")))
def test_no_letter_is_cut_at_the_edge_of_a_picture(path: Path) -> None:
    dark = np.asarray(Image.open(path).convert("L")) < 170
    assert not any(edge.any() for edge in (dark[:, 0], dark[:, -1], dark[0], dark[-1]))


def test_a_title_too_long_and_ticks_too_near_are_seen() -> None:
    assert not cut(drawing("Title", ["1024"])) and not written_over(drawing("Title", ["1024"]))
    assert cut(drawing("Title " * 20, ["1024"]))
    assert ("1024", "1025") in written_over(drawing("Title", ["1024", "1025"]))
