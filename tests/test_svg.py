"""Figures in fewer bytes: the same to the eye, and nothing left that points nowhere."""

import base64
import io
import re
from xml.etree import ElementTree

import browser
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from PIL import Image

from crosscheck.errors import UsageError
from crosscheck.report import figures, svg
from crosscheck.report.pdf import find

SVG = f"{{{svg.NAMESPACE}}}"
PATH = "M 1.234567 2.5 \nL 3.5 2.5 \nL 3.5 -0.25 \nL 4 0 \nQ 5 0 5 1 \nz \nM 1 1 \nL 2 2 \n"


def drawing(fonttype: str) -> bytes:
    """A figure with all that figures have: bands, markers, text, mathematics, images, hatches."""
    with figures.theme(), mpl.rc_context({"svg.fonttype": fonttype}):
        figure, (left, right) = figures.panels(columns=2)
        x = np.linspace(0, 1, 40)
        figures.median_with_interval(left, x, x**2 + np.outer([0, 0.1, 0.3], x), "a  mean", marker="o")
        figures.theory_line(left, x, x)
        left.bar([0.2, 0.8], [0.4, 0.6], width=0.1, hatch="//")
        left.set(title="Title, title", xlabel=r"$x^2$ of x", ylabel="10⁻³ − y", yscale="symlog")
        left.legend()
        figures.error_map(right, np.arange(5), np.arange(4), 10.0 ** -np.arange(12).reshape(3, 4))
        right.tick_params(axis="x", labelrotation=30)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


@pytest.fixture(scope="module")
def drawn() -> bytes:
    return drawing("none")


def test_a_path_keeps_its_points_to_a_hundredth() -> None:
    assert svg.relative_path(PATH) == "m1.23 2.5h2.27v-2.75l.5 .25q1 0 1 1zm-.23-1.5 1 1"
    assert svg.relative_path("M 1 1 \nM 2 2 \nL 3 4 \n") == "m1 1m1 1 1 2"


@pytest.mark.parametrize("seed", range(5))
def test_the_errors_of_a_path_do_not_add_up(seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-9, 9, (300, 2))
    command = svg.relative_path("".join(f"{'L' if i else 'M'} {x} {y} " for i, (x, y) in enumerate(points)))
    x = y = 0.0
    ends = []
    for letter, numbers in re.findall(r"([mlhv])([^mlhv]*)", command):
        steps = [float(value) for value in re.findall(r"-?[\d.]+", numbers)]
        pairs = zip(steps[::2], steps[1::2], strict=True) if letter in "ml" else [(steps[0], 0)]
        for dx, dy in [(0, step) for step in steps] if letter == "v" else pairs:
            x, y = x + dx, y + dy
            ends.append((x, y))
    np.testing.assert_allclose(ends, points, atol=0.0051)


def test_it_is_well_formed_smaller_and_every_reference_leads_to_one_element(drawn: bytes) -> None:
    short = svg.shortened(drawn)
    assert len(short) < 0.5 * len(drawn)
    root = ElementTree.fromstring(short)
    identities = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(identities) == len(set(identities))
    referred = set(re.findall(r'(?:href="|url\()#([\w-]+)', short.decode()))
    assert referred == set(identities)
    classes = {element.attrib["class"] for element in root.iter() if "class" in element.attrib}
    assert classes <= set(re.findall(r"\.(\w+)\{", short.decode()))


def test_text_is_text_as_wide_as_its_outlines(drawn: bytes) -> None:
    texts = {text.text: text for text in ElementTree.fromstring(svg.shortened(drawn)).iter(f"{SVG}text")}
    for words, weight, size in (("Title, title", "bold", 10.5), ("10⁻³ − y", "normal", 9.5)):
        face = FontProperties(family="DejaVu Sans", weight=weight)
        outlines = TextPath((0, 0), words, size, face).get_extents()
        assert abs(float(texts[words].attrib["textLength"]) - outlines.xmax) < 1
    assert "a\N{NO-BREAK SPACE} mean" in texts


def test_a_formula_has_a_place_for_each_letter_and_one_typeface(drawn: bytes) -> None:
    short = svg.shortened(drawn)
    spans = list(ElementTree.fromstring(short).iter(f"{SVG}tspan"))
    assert {"x", "2", "0"} <= {span.text for span in spans}
    assert all(len(span.attrib["x"].split()) == len(span.text or "") for span in spans)
    assert short.count(b"font-family") == 1


def test_an_image_of_few_colours_keeps_every_pixel() -> None:
    colours = np.random.default_rng(0).integers(0, 256, (200, 4), dtype=np.uint8)
    pixels = colours[np.arange(2400).reshape(40, 60) % 200]
    stream = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(stream, format="png")
    before = f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
    after = svg.with_palette(before)
    content = io.BytesIO(base64.b64decode(after.partition(",")[2]))
    assert len(after) < len(before)
    np.testing.assert_array_equal(np.asarray(Image.open(content).convert("RGBA")), pixels)


def test_the_same_figure_gives_the_same_bytes(drawn: bytes) -> None:
    assert svg.shortened(drawn) == svg.shortened(drawn)


@pytest.mark.skipif(not find(), reason="Chromium is not installed (Debian: chromium)")
def test_it_looks_as_with_the_outlines_of_letters(drawn: bytes, tmp_path) -> None:
    pictures = []
    for name, content in (("outlines", drawing("path")), ("text", svg.shortened(drawn))):
        (tmp_path / f"{name}.svg").write_bytes(content)
        picture = tmp_path / f"{name}.png"
        browser.chromium(f"--screenshot={picture}", (tmp_path / f"{name}.svg").as_uri())
        pictures.append(
            np.asarray(Image.open(picture).convert("RGB").reduce(8), float)
        )  # of letters, the grey
    off = np.abs(pictures[0] - pictures[1])
    assert pictures[0].std() > 10  # something was drawn
    assert off.max() < 25 and off.mean() < 0.05


@pytest.mark.parametrize("text", ["plain", "it's", "50 % #1 é \n\t <x> &amp;"])
def test_an_address_of_data_holds_the_figure_and_fits_into_an_attribute(text: str) -> None:
    from urllib.parse import unquote

    address = str(svg.data_uri(f'<svg a="b">{text}</svg>'))
    assert address.startswith("data:image/svg+xml;charset=utf-8,") and not re.search(r'["#&\n\t]', address)
    content = unquote(address.partition(",")[2])
    assert content.replace("'", '"') == " ".join(f'<svg a="b">{text}</svg>'.split()).replace("'", '"')


@pytest.mark.parametrize(
    "content", ["", "<svg", "<svg/>", '<svg viewBox="a b"/>', '<svg viewBox="0 0 1 x"/>']
)
def test_a_file_that_is_no_figure_is_refused_and_named(tmp_path, content: str) -> None:
    (tmp_path / "figure.svg").write_text(content)
    with pytest.raises(UsageError, match=r"figure\.svg is not a figure.*crosscheck run"):
        svg.read(tmp_path / "figure.svg")
