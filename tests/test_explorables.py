"""The report's figures that answer: a browser reads off them what the studies compute; who can use them."""

from __future__ import annotations

import html.parser
import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import browser
import draw_explorables
import msgspec
import numpy as np
import pytest
from explorables_in_python import IN_PYTHON, ROUND, State, agreeing, by_probability, gradient_in_keras
from scipy import special

from crosscheck.report import explorables
from crosscheck.report.page import write_report
from crosscheck.report.pdf import find

ROOT = Path(__file__).parents[1]
STYLE = (explorables.TEMPLATES / "report.css").read_text(encoding="utf-8")
in_browser = pytest.mark.skipif(not find(), reason="Chromium is not installed (Debian: chromium)")
SETTINGS = 20
SIX_DIGITS = 5e-7

# --- settings, and what the page reads at each -------------------------------------------------------------


def states(figure: explorables.Explorable) -> list[State]:
    """Settings on the steps of the controls: the opening one, those of the sentences, and some at random."""
    rng, opening = np.random.default_rng(0), state_of(figure, {})
    told = [state_of(figure, changed) for changed in figure.sentences.values()]
    return [opening, *told, *(at_random(figure, rng) for _ in range(SETTINGS))]


def state_of(figure: explorables.Explorable, changed: State) -> State:
    first = lambda one: one.value if isinstance(one, explorables.Slider) else one.options[0][0]
    return {one.name: first(one) for one in figure.controls} | changed


def at_random(figure: explorables.Explorable, rng: np.random.Generator) -> State:
    return {one.name: drawn(one, rng) for one in figure.controls}


def drawn(one: explorables.Slider | explorables.Choice, rng: np.random.Generator) -> Any:
    if isinstance(one, explorables.Choice):
        return one.options[rng.integers(len(one.options))][0]
    steps = round((one.high - one.low) / one.step)
    return round(one.low + one.step * int(rng.integers(steps + 1)), 6)


STATES = {figure.id: states(figure) for figure in explorables.FIGURES}
PATHS = [
    {"z": float(z), "y": y, "path": path}
    for path in ("clip", "half")
    for y in (0, 1)
    for z in (*range(-24, 25), -16.1, -16.2)
]
READ = """
const address = (id, state) => `${id}?${new URLSearchParams(state)}`;
const read = (id, state) => {
  frame.history.replaceState(null, "", `#${address(id, state)}`);
  frame.dispatchEvent(new frame.HashChangeEvent("hashchange"));
  const readings = [...doc.querySelectorAll(`#${id} data`)];
  return Object.fromEntries(readings.map((one) => [one.dataset.name, one.getAttribute("value")]));
};
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report anew from the committed results, with whatever the templates say now."""
    folder = tmp_path_factory.mktemp("explorables") / "results"
    shutil.copytree(ROOT / "results", folder)
    return next(path for path in write_report(folder) if path.suffix == ".html")


@pytest.fixture(scope="module")
def seen(page: Path) -> dict[str, Any]:
    """What the page reads at every setting, and what becomes of it under a hand."""
    values = f"""{READ} const states = {json.dumps(STATES)};
      const readings = ([id, all]) => [id, all.map((state) => read(id, state))];
      return Object.fromEntries(Object.entries(states).map(readings));"""
    paths = f"{READ} return {json.dumps(PATHS)}.map((state) => read('try-loss', state));"
    probes = {"values": (1280, values), "paths": (1280, paths), "hand": (1280, HAND), "narrow": (360, NARROW)}
    answers = browser.look(page, probes)
    assert not answers["console"]
    for name in probes:
        assert "error" not in answers[name], answers[name]
    return answers


# --- the values are the studies' ---------------------------------------------------------------------------


@in_browser
@pytest.mark.parametrize("id", IN_PYTHON)
def test_the_figures_compute_what_the_studies_do_to_six_digits(seen: dict[str, Any], id: str) -> None:
    assert len(STATES[id]) == len(seen["values"][id]) > SETTINGS
    for state, readings in zip(STATES[id], seen["values"][id], strict=True):
        for name, expected in IN_PYTHON[id](state).items():
            assert float(readings[name]) == pytest.approx(expected, rel=SIX_DIGITS, abs=1e-12), (state, name)


@in_browser
def test_the_paths_round_and_clip_as_numpy_does(seen: dict[str, Any]) -> None:
    pairs = zip(STATES["try-loss"], seen["values"]["try-loss"], strict=True)
    by_way = [(state, readings) for state, readings in pairs if state["path"] != "logits"]
    assert len(by_way) > 10
    for state, readings in by_way:
        for name, expected in by_probability(state).items():
            assert float(readings[name]) == pytest.approx(expected, rel=SIX_DIGITS, abs=1e-12), (state, name)


@in_browser
def test_from_logits_the_path_is_the_theory(seen: dict[str, Any]) -> None:
    pairs = zip(STATES["try-loss"], seen["values"]["try-loss"], strict=True)
    exact = [readings for state, readings in pairs if state["path"] == "logits"]
    for readings in exact:
        assert readings["path_gradient"] == readings["gradient"]
    assert exact


@in_browser
def test_the_gradient_dies_and_overflows_where_keras_has_it(seen: dict[str, Any]) -> None:
    for path in ("clip", "half"):
        here = [i for i, state in enumerate(PATHS) if state["path"] == path]
        z, y = (np.array([PATHS[i][name] for i in here], "float64") for name in ("z", "y"))
        drawn = np.array([float(seen["paths"][i]["path_gradient"]) for i in here])
        by_keras = gradient_in_keras(z, y, str(np.dtype(ROUND[path])))
        assert (by_keras == 0).any() and (path == "clip" or np.isinf(by_keras).any())
        same = agreeing(z, path)
        drawn, by_keras = drawn[same], by_keras[same]
        np.testing.assert_array_equal(drawn == 0, by_keras == 0)
        steps = 4 * np.finfo(ROUND[path]).eps
        np.testing.assert_allclose(drawn, by_keras, rtol=steps, atol=steps if path == "clip" else 0.02)


@in_browser
def test_an_address_opens_a_figure_at_its_setting(page: Path) -> None:
    dom, console = browser.chromium("--dump-dom", f"{page.as_uri()}#try-score?q=0.5&p=0.1&gamma=0")
    (kl,) = re.findall(r'data-name="kl" value="([^"]*)"', dom)
    assert not console and float(kl) == pytest.approx(0.5 * np.log(0.5**2 / 0.09), rel=SIX_DIGITS)


# --- hands, keys, screens, and no script -------------------------------------------------------------------

HAND = """
const figure = doc.getElementById("try-loss"), plot = figure.querySelector("svg[data-drag]");
const box = plot.getBoundingClientRect(), slider = figure.querySelector("[name=z]");
const at = (x) => ({ clientX: box.left + x * box.width, clientY: box.top + 5, buttons: 1, bubbles: true });
plot.dispatchEvent(new frame.PointerEvent("pointermove", at(0.75)));
const pulled = [slider.value, figure.querySelector("[data-name=p]").value];
slider.value = 3; slider.dispatchEvent(new frame.Event("input", { bubbles: true }));
const typed = figure.querySelector("[data-name=p]").value;
const link = doc.querySelector("#S10 a[data-state]"); link.click();
const clicked = [slider.value, figure.querySelector(".says").textContent];
frame.history.replaceState(null, "", "#try-loss?path=nonsense&z=words&nothing=1");
frame.dispatchEvent(new frame.HashChangeEvent("hashchange"));
const nonsense = [figure.querySelector("[name=path]").value, figure.querySelector("[data-name=loss]").value];
return { pulled, typed, clicked, nonsense, hidden: doc.querySelectorAll(".explorable [hidden]").length };"""
NARROW = """
const wide = [...doc.querySelectorAll(".explorable :is(form, .panels, svg, select, input)")].filter((one) =>
  one.getBoundingClientRect().right > doc.documentElement.clientWidth);
const small = [...doc.querySelectorAll(".explorable :is(input, select, button)")].filter((one) =>
  one.getBoundingClientRect().height < 24);
return { wide: wide.length, small: small.length };"""


@in_browser
def test_a_pull_a_key_and_a_sentence_set_the_figure(seen: dict[str, Any]) -> None:
    hand = seen["hand"]
    assert float(hand["pulled"][0]) == pytest.approx(12.5, abs=0.1) and hand["hidden"] == 0
    assert float(hand["pulled"][1]) == pytest.approx(special.expit(float(hand["pulled"][0])))
    assert float(hand["typed"]) == pytest.approx(special.expit(3))
    assert float(hand["clicked"][0]) == -18 and hand["clicked"][1].startswith("Lost")


@in_browser
def test_an_address_that_makes_no_sense_leaves_the_choice_as_it_was(seen: dict[str, Any]) -> None:
    path, loss = seen["hand"]["nonsense"]
    assert path == "clip" and math.isfinite(float(loss))


@in_browser
def test_a_narrow_screen_holds_all_with_room_for_a_finger(seen: dict[str, Any]) -> None:
    assert seen["narrow"] == {"wide": 0, "small": 0}


@in_browser
def test_the_drawings_without_a_script_are_what_the_script_draws() -> None:
    kept = msgspec.to_builtins(explorables.openings())
    assert draw_explorables.drawn(kept) == kept, "python tests/draw_explorables.py"


class Elements(html.parser.HTMLParser):
    """The elements of a page, each with its attributes and the names of those around it."""

    def __init__(self, text: str):
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.around: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs), list(self.around)))
        if tag not in ("input", "meta", "link", "br"):
            self.around.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.around:
            del self.around[len(self.around) - 1 - self.around[::-1].index(tag) :]


@pytest.fixture(scope="module")
def elements(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, dict[str, str | None], list[str]]]:
    folder = tmp_path_factory.mktemp("static")
    text = draw_explorables.alone(folder, explorables.openings()).read_text(encoding="utf-8")
    return Elements(text.partition("<script>")[0]).found


def test_every_control_is_native_and_has_a_label_and_every_picture_a_name(elements: Any) -> None:
    controls = [(attributes, around) for tag, attributes, around in elements if tag in ("input", "select")]
    assert len(controls) == sum(len(figure.controls) for figure in explorables.FIGURES)
    assert all("label" in around and attributes["name"] for attributes, around in controls)
    pictures = [attributes for tag, attributes, around in elements if tag == "svg" and "svg" not in around]
    assert all(
        (one.get("role") == "img" and one.get("aria-label")) or one.get("aria-hidden") for one in pictures
    )
    live = [attributes for _, attributes, _ in elements if attributes.get("role") == "status"]
    regions = [attributes for _, attributes, _ in elements if attributes.get("role") == "region"]
    assert len(live) == len(explorables.FIGURES)
    assert regions and all(one["tabindex"] == "0" and one["aria-label"] for one in regions)
    assert not any((attributes.get("tabindex") or "0") > "0" for _, attributes, _ in elements)


def test_without_a_script_every_curve_is_drawn_and_nothing_can_be_set(elements: Any) -> None:
    curves = [attributes for tag, attributes, _ in elements if tag == "path" and "data-curve" in attributes]
    empty = [one["data-curve"] for one in curves if not (one["d"] or "").startswith("M")]
    assert len(curves) > 20 and empty == ["third"]  # no third feature where the figure opens
    assert all("hidden" in attributes for tag, attributes, _ in elements if tag == "form")


def test_the_script_is_short_and_asks_for_nothing() -> None:
    script = explorables.SCRIPT.read_text(encoding="utf-8")
    assert explorables.SCRIPT.stat().st_size <= 15_000
    assert not re.search(r"https?:|fetch\(|import\b|XMLHttp|eval\(|innerHTML", script)


def test_every_sentence_that_a_figure_concerns_is_one_of_the_chapter() -> None:
    from crosscheck.claims import sentences

    assert set(explorables.trials()) <= set(sentences.IDS)
    for figure in explorables.FIGURES:
        names = {one.name for one in figure.controls}
        assert all(set(state) <= names for state in figure.sentences.values())


def luminance(colour: str) -> float:
    """WCAG's relative luminance of `#rrggbb`."""
    parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_curves_and_words_can_be_told_from_the_card_by_the_colours_of_the_style_sheet(scheme: int) -> None:
    colours = dict(
        re.findall(r"--(\w+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[scheme])
    )
    for words in ("ink", "soft", "link", "mark"):
        assert contrast(colours[words], colours["card"]) >= 4.5, words
    for drawn in ("ink", "link", "mark", "edge"):
        assert contrast(colours[drawn], colours["card"]) >= 3, drawn
