"""The text of figures as text: the reader's own letters, in the room that DejaVu Sans takes.

Outlines of letters would be half of a figure's bytes. Where a reader has another typeface, `textLength`
spreads it over the width with which Matplotlib reckoned, and each sign of a formula has its own place.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any
from xml.etree.ElementTree import Element

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

# Verdana, which phones and the common desktops have, is nearly as wide as DejaVu Sans.
SHEET = "text{font-family:DejaVu Sans,Verdana,sans-serif}"
IMPLIED = re.compile(r"(font-family:[^;]*|text-anchor:start)(;|$)")


def set_in_type(root: Element) -> None:
    """Every text at its width, and a formula's letters of one size and height together."""
    for parent in list(root.iter()):
        for text in parent.findall("text"):
            if len(text):
                join_letters(text, parent.attrib.get("style", ""))
            else:
                set_line(text)
        if parent.tag == "g" and len(parent) == 1 and parent[0].tag == "text" and not parent[0].attrib:
            become_text(parent)


def set_line(text: Element) -> None:
    """Its width as `textLength`; blanks that XML would join or drop become ones that it keeps."""
    words = text.text or ""
    style = text.attrib["style"]
    text.text = re.sub("^ | $| (?= )", "\N{NO-BREAK SPACE}", words)
    if len(words) > 1:
        text.attrib["textLength"] = f"{width(words, style):.1f}".removesuffix(".0")
    text.attrib["style"] = without(style)
    if text.attrib.get("transform", "").startswith("rotate(0 "):
        del text.attrib["transform"]


def width(words: str, style: str) -> float:
    """What a line takes in DejaVu Sans of the style's size, weight and slant."""
    named: dict[str, Any] = dict(part.split(":", 1) for part in style.split(";"))
    face = FontProperties(
        family="DejaVu Sans",
        size=float(named["font-size"].removesuffix("px")),
        weight=int(named.get("font-weight", "400")),
        style=named.get("font-style", "normal"),
    )
    return text_to_path.get_text_width_height_descent(words, face, ismath=False)[0]


def join_letters(text: Element, inherited: str) -> None:
    """Of a formula: one span for neighbours of one style on one line, with a place for each letter."""
    for letter in text:
        styles = letter.attrib["style"].split(";")
        letter.attrib["style"] = without(";".join(s for s in styles if s not in inherited.split(";")))
    letters = list(text)
    text[:] = []
    for (style, y), run in groupby(letters, key=lambda letter: (letter.attrib["style"], letter.attrib["y"])):
        alike = list(run)
        span = Element("tspan", {"x": " ".join(letter.attrib["x"] for letter in alike), "y": y})
        span.attrib |= {"style": style} if style else {}
        span.text = "".join(letter.text or "" for letter in alike)
        text.append(span)


def become_text(group: Element) -> None:
    """A group of nothing but a text is that text."""
    group.tag = "text"
    group[:] = list(group[0])


def without(style: str) -> str:
    """A style that leaves out what goes without saying."""
    return IMPLIED.sub("", style).strip(";")
