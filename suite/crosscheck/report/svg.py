"""Matplotlib's SVG in a third of its bytes, looking the same, and as an image within a page.

Matplotlib writes six decimals, a line for each point of a path, a name for every group, and each letter of a
text as an element of its own. Here coordinates keep a hundredth of a point and are relative, whatever is
drawn again is a reference to the first time, and a style that occurs again is a class.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from markupsafe import Markup

from crosscheck.errors import UsageError

NAMESPACE = "http://www.w3.org/2000/svg"
GRID = 100  # steps in a unit: paths are drawn to a hundredth of a point
LETTER = "scale(0.015625)"  # in which Matplotlib draws the outline of a letter, far finer than that
PIXELS = 100 / 72  # on the page, of a point
COORDINATES = {"M": 2, "L": 2, "Q": 4, "C": 6, "z": 0}  # all that Matplotlib writes
UNQUOTED = " !$'()*+,-./:;<=>?@[]^_`{|}~"  # within a double-quoted attribute that holds a data URI


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
    return Markup("data:image/svg+xml," + quote(single_quoted, safe=UNQUOTED))


def shortened(svg: bytes) -> bytes:
    """The same drawing in fewer bytes."""
    root = ElementTree.fromstring(svg)
    for metadata in root.findall(f"{{{NAMESPACE}}}metadata"):
        root.remove(metadata)
    for element in list(root.iter()):
        shorten(element)
    drop_blanks(root)
    rename(root)
    unwrap(root)
    refer_to_repeated_texts(root)
    styles_as_classes(root)
    root.attrib["xmlns"] = NAMESPACE
    return ElementTree.tostring(root, encoding="utf-8").replace(b'" />', b'"/>') + b"\n"


def shorten(element: Element) -> None:
    """An element's own text and attributes."""
    element.tag = element.tag.rpartition("}")[2]
    element.text, element.tail = (element.text or "").strip() or None, None
    attributes = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
    if "d" in attributes and attributes.get("transform") == LETTER:
        attributes |= {"d": relative_path(attributes["d"], unit=8, grid=1), "transform": "scale(.125)"}
    elif "d" in attributes:
        attributes["d"] = relative_path(attributes["d"])
    if "style" in attributes:
        attributes["style"] = re.sub(r"([:;])\s+", r"\1", attributes["style"])
    if element.tag == "image":
        attributes["href"] = "".join(attributes["href"].split())
    if "transform" in attributes:
        attributes |= shorter_transform(attributes.pop("transform"), element.tag)
    lengths = {"x", "y", "width", "height"} & attributes.keys() if element.tag in ("use", "rect") else ()
    element.attrib = attributes | {name: rounded(attributes[name]) for name in lengths}


def shorter_transform(transform: str, tag: str) -> dict[str, str]:
    """Positions to a hundredth; a reference that is merely moved has its place as x and y."""
    moved = re.fullmatch(r"translate\((\S+) (\S+)\)", transform)
    if moved and tag == "use":
        return {axis: place for axis, place in zip("xy", moved.groups(), strict=True) if float(place)}
    positions = re.compile(r"(?<=translate\()([^)]*)")
    return {"transform": positions.sub(lambda match: " ".join(map(rounded, match[1].split())), transform)}


def rounded(value: str) -> str:
    return number(round(float(value) * GRID))


def relative_path(d: str, unit: float = 1, grid: int = GRID) -> str:
    """A path in relative coordinates, with so many steps in a unit; errors do not add up."""
    parts, (x, y), start, previous = [], (0, 0), (0, 0), ""
    for command, numbers in re.findall(r"([MLQCz])([^MLQCz]*)", d):
        points = [round(float(value) * grid / unit) for value in numbers.split()]
        assert len(points) == COORDINATES[command], d
        steps = [value - (y if i % 2 else x) for i, value in enumerate(points)]
        letter = command.lower()
        if letter == "l" and 0 in steps:
            letter, steps = ("h", steps[:1]) if steps[1] == 0 else ("v", steps[1:])
        implied = letter == previous != "m" or (previous == "m" and letter == "l")
        parts.append(("" if implied else letter, *(number(step, grid) for step in steps)))
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


def number(steps: int, grid: int = GRID) -> str:
    """Steps of the grid in units: `-.25`, `3`."""
    digits = f"{abs(steps) / grid:.2f}".rstrip("0").rstrip(".")
    return ("-" if steps < 0 else "") + (digits.removeprefix("0") or "0")


def drop_blanks(root: Element) -> None:
    """Spaces are letters without an outline."""
    blanks = {f"#{path.get('id')}": path for path in root.iter("path") if "d" not in path.attrib}
    for parent in root.iter():
        parent[:] = [
            child for child in parent if child not in blanks.values() and child.get("href") not in blanks
        ]


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


def refer_to_repeated_texts(root: Element) -> None:
    """A row of letters that stood before is a reference to where it did."""
    texts: dict[str, list[Element]] = {}
    for group in root.iter("g"):
        if len(group) > 1 and all(child.tag == "use" for child in group):
            texts.setdefault("".join(map(repr, (child.attrib for child in group))), []).append(group)
    repeated = (groups for groups in texts.values() if len(groups) > 1)
    for name, (first, *others) in zip(map(str.upper, names()), repeated, strict=False):
        letters = Element("g", {"id": name})
        letters[:] = first
        first[:] = [letters]
        for group in others:
            group[:] = [Element("use", {"href": f"#{name}"})]


def styles_as_classes(root: Element) -> None:
    """A style that stands several times, written once."""
    times = Counter(element.attrib["style"] for element in root.iter() if "style" in element.attrib)
    frequent = (style for style, occurrences in times.most_common() if occurrences > 2)
    classes = dict(zip(frequent, names(), strict=False))
    for element in root.iter():
        if element.attrib.get("style") in classes:
            element.attrib["class"] = classes[element.attrib.pop("style")]
    (sheet,) = root.iter("style")
    sheet.text = (sheet.text or "") + "".join(f".{name}{{{style}}}" for style, name in classes.items())
