"""Matplotlib's SVG in a third of its bytes, looking the same, and as an image within a page.

Matplotlib writes six decimals, a line for each point of a path, a name for every group, and each letter of a
formula as an element of its own. Here coordinates keep a hundredth of a point and are relative, letters of a
formula stand together, marks that are alike share a group, and a style that occurs again is a class.
"""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, groupby, pairwise
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from markupsafe import Markup
from PIL import Image

from crosscheck.errors import UsageError
from crosscheck.report import lettering

NAMESPACE = "http://www.w3.org/2000/svg"
GRID = 100  # steps in a unit: paths are drawn to a hundredth of a point
PIXELS = 100 / 72  # on the page, of a point
COORDINATES = {"M": 2, "L": 2, "Q": 4, "C": 6, "z": 0}  # all that Matplotlib writes
PLACED = ("use", "rect", "text", "tspan")  # what has its place as x and y
QUOTED = re.compile(r"[%#\"&\\]")  # within a double-quoted attribute that holds a data URI of UTF-8


@dataclass(frozen=True)
class Figure:
    """An SVG as the source of an image, and its size in pixels."""

    source: Markup
    width: int
    height: int


def read(path: Path) -> Figure | None:
    """A figure.svg for the page; None where there is none.

    Raises:
        UsageError: where it is no SVG.
    """
    if not path.exists():
        return None
    try:
        content = path.read_text(encoding="utf-8")
        _, _, width, height = map(float, ElementTree.fromstring(content).attrib["viewBox"].split())
    except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
        complaint = f"{path} is not a figure written by crosscheck: {error}."
        raise UsageError(f"{complaint} Write it afresh with `crosscheck run {path.parent.name}`.") from error
    return Figure(data_uri(content), round(width * PIXELS), round(height * PIXELS))


def data_uri(svg: str) -> Markup:
    """As a `data:` address, fit for a double-quoted attribute; a quarter shorter than in base64."""
    one_line = " ".join(svg.split())
    single_quoted = one_line if "'" in one_line else one_line.replace('"', "'")
    return Markup(
        "data:image/svg+xml;charset=utf-8," + QUOTED.sub(lambda match: quote(match[0]), single_quoted)
    )


def shortened(svg: bytes) -> bytes:
    """The same drawing in fewer bytes."""
    root = ElementTree.fromstring(svg)
    for metadata in root.findall(f"{{{NAMESPACE}}}metadata"):
        root.remove(metadata)
    for element in list(root.iter()):
        shorten(element)
    lettering.set_in_type(root)
    rename(root)
    unwrap(root)
    gather(root)
    styles_as_classes(root)
    root.attrib["xmlns"] = NAMESPACE
    return ElementTree.tostring(root, encoding="utf-8").replace(b'" />', b'"/>') + b"\n"


def shorten(element: Element) -> None:
    """An element's own text and attributes."""
    element.tag = element.tag.rpartition("}")[2]
    verbatim = element.tag in ("text", "tspan") and not len(element)
    element.text, element.tail = element.text if verbatim else (element.text or "").strip() or None, None
    attributes = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
    if "d" in attributes:
        attributes["d"] = relative_path(attributes["d"])
    if "style" in attributes:
        attributes["style"] = re.sub(r"([:;])\s+", r"\1", attributes["style"])
    if element.tag == "image":
        attributes["href"] = with_palette("".join(attributes["href"].split()))
    if "transform" in attributes:
        attributes |= shorter_transform(attributes.pop("transform"), element.tag)
    lengths = {"x", "y", "width", "height"} & attributes.keys() if element.tag in PLACED else ()
    element.attrib = attributes | {name: rounded(attributes[name]) for name in lengths}


def with_palette(address: str) -> str:
    """An image of at most 256 colours as places in a palette: the same pixels in half the bytes."""
    head, _, content = address.partition(",")
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGBA"))
    colours, places = np.unique(pixels.reshape(-1, 4), axis=0, return_inverse=True)
    if len(colours) > 256:
        return address
    indexed = Image.fromarray(places.reshape(pixels.shape[:2]).astype(np.uint8), "P")
    indexed.putpalette(colours.tobytes(), "RGBA")
    stream = io.BytesIO()
    indexed.save(stream, format="png", optimize=True)
    return f"{head},{base64.b64encode(stream.getvalue()).decode()}"


def shorter_transform(transform: str, tag: str) -> dict[str, str]:
    """Positions to a hundredth; a reference that is merely moved has its place as x and y."""
    moved = re.fullmatch(r"translate\((\S+) (\S+)\)", transform)
    if moved and tag == "use":
        return {axis: place for axis, place in zip("xy", moved.groups(), strict=True) if float(place)}
    positions = re.compile(r"(?<=translate\()[^)]*|(?<=rotate\()\S+ [^)]*")
    return {"transform": positions.sub(lambda match: " ".join(map(rounded, match[0].split())), transform)}


def rounded(value: str) -> str:
    return number(round(float(value) * GRID))


def relative_path(d: str) -> str:
    """A path in relative coordinates on the grid; errors do not add up."""
    parts, (x, y), start, previous = [], (0, 0), (0, 0), ""
    for command, numbers in re.findall(r"([MLQCz])([^MLQCz]*)", d):
        points = [round(float(value) * GRID) for value in numbers.split()]
        assert len(points) == COORDINATES[command], d
        steps = [value - (y if i % 2 else x) for i, value in enumerate(points)]
        letter = command.lower()
        if letter == "l" and 0 in steps:
            letter, steps = ("h", steps[:1]) if steps[1] == 0 else ("v", steps[1:])
        implied = letter == previous != "m" or (previous == "m" and letter == "l")
        parts.append(("" if implied else letter, *map(number, steps)))
        x, y = points[-2:] or start
        start = (x, y) if command == "M" else start
        previous = letter if letter != "z" else ""
    return joined(parts)


def joined(parts: list[tuple[str, ...]]) -> str:
    """Commands and numbers, with a blank between two numbers that would be read as one."""
    tokens = [token for part in parts for token in part if token]
    glued = (
        after if before[-1].isalpha() or after[0].isalpha() or after[0] == "-" else f" {after}"
        for before, after in pairwise(tokens)
    )
    return "".join([*tokens[:1], *glued])


def number(steps: int) -> str:
    """Steps of the grid in units: `-.25`, `3`."""
    digits = f"{abs(steps) / GRID:.2f}".rstrip("0").rstrip(".")
    return ("-" if steps < 0 else "") + (digits.removeprefix("0") or "0")


def names() -> Iterator[str]:
    """a, b, …, z, a1, b1, …"""
    return (f"{chr(97 + i % 26)}{i // 26 or ''}" for i in count())


REFERENCE = re.compile(r"(^|\()#([\w-]+)")  # the whole of a `href`, or `url(#…)`
REFERRING = ("href", "clip-path", "style")


def rename(root: Element) -> None:
    """Short ids for what is referred to, and none for the rest."""
    values = [element.attrib[key] for element in root.iter() for key in REFERRING if key in element.attrib]
    used = dict.fromkeys(match[2] for value in values for match in REFERENCE.finditer(value))
    short = dict(zip(used, names(), strict=False))
    for element in root.iter():
        if name := short.get(element.attrib.pop("id", "")):
            element.attrib["id"] = name
        for key in element.attrib.keys() & set(REFERRING):
            element.attrib[key] = REFERENCE.sub(
                lambda match: f"{match[1]}#{short[match[2]]}", element.attrib[key]
            )


def unwrap(element: Element) -> None:
    """Groups that say nothing give way to what is in them."""
    children: list[Element] = []
    for child in element:
        unwrap(child)
        children += list(child) if child.tag == "g" and not child.attrib else [child]
    element[:] = children


def gather(parent: Element) -> None:
    """Marks in a row that share a style share a group that has it, and need none of their own."""
    children: list[Element] = []
    for style, run in groupby(parent, key=lambda e: e.attrib.get("style", "") if e.tag == "use" else None):
        alike = list(run)
        if style and len(alike) > 2:
            group = Element("g", {"style": style})
            group[:] = alike
            for mark in alike:
                del mark.attrib["style"]
            alike = [group]
        children += alike
    parent[:] = children
    for child in parent:
        gather(child)


def styles_as_classes(root: Element) -> None:
    """A style that stands several times, written once."""
    times = Counter(element.attrib["style"] for element in root.iter() if "style" in element.attrib)
    frequent = (style for style, occurrences in times.most_common() if occurrences > 2)
    classes = dict(zip(frequent, names(), strict=False))
    for element in root.iter():
        if element.attrib.get("style") in classes:
            element.attrib["class"] = classes[element.attrib.pop("style")]
    (sheet,) = root.iter("style")
    rules = "".join(f".{name}{{{style}}}" for style, name in classes.items())
    sheet.text = (sheet.text or "") + lettering.SHEET + rules
