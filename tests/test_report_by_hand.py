"""The committed page under real keys, on paper, and as its first bytes arrive."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import devtools
import pytest

from crosscheck.report import explorables
from crosscheck.report.page import write_report
from crosscheck.report.pdf import find

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
LIMIT, ALL_RESULTS = 2_000_000, 10_000_000  # bytes
SOON = 48_000  # bytes: a third of a second at 1.2 Mbit/s
LONGEST = ("brier_vs_kl", "ood_energy")  # most checks
in_browser = pytest.mark.skipif(not find(), reason="Chromium is not installed (Debian: chromium)")

FOCUSED = """(() => {
  const at = document.activeElement, style = getComputedStyle(at), box = at.getBoundingClientRect();
  const after = !window.before || !!(window.before.compareDocumentPosition(at) & 4);
  window.before = at;
  return { name: `${at.tagName} ${at.textContent.trim().slice(0, 30)}`, after,
    outlined: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1,
    seen: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth };
})()"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page anew from the committed results, with whatever the templates say now."""
    folder = tmp_path_factory.mktemp("page") / "results"
    shutil.copytree(RESULTS, folder)
    return next(path for path in write_report(folder) if path.suffix == ".html")


@pytest.fixture(scope="module")
def page(report: Path) -> Iterator[devtools.Page]:
    with devtools.page() as opened:
        opened.open(report.as_uri())
        yield opened


def test_the_page_and_the_results_keep_within_their_bytes(report: Path) -> None:
    assert report.stat().st_size < LIMIT
    assert sum(file.stat().st_size for file in RESULTS.rglob("*") if file.is_file()) < ALL_RESULTS


def test_the_first_screen_comes_with_the_first_bytes_and_waits_for_no_script(report: Path) -> None:
    soon = report.read_bytes()[:SOON].decode(errors="ignore")
    assert soon.index("<h1>") < soon.index('class="lead"') < soon.index('id="S01"')
    assert "<script" not in soon and "<img" not in soon


@in_browser
def test_tab_goes_on_in_the_order_of_the_page_and_shows_where_it_is(page: devtools.Page) -> None:
    page.open(page.find("location.href.split('#')[0]"))
    steps = []
    for _ in range(40):
        page.press("Tab")
        steps.append(page.find(FOCUSED))
    assert steps[0]["name"] == "A Skip to the sentences"
    assert [step for step in steps if not (step["after"] and step["outlined"] and step["seen"])] == []


@in_browser
def test_the_skip_link_leaves_out_the_list_of_contents(page: devtools.Page) -> None:
    page.open(page.find("location.href.split('#')[0]"))
    page.press("Tab")
    page.press("Enter")
    page.press("Tab")
    assert page.find("!document.activeElement.closest('nav') && !!document.activeElement.closest('.part')")


@in_browser
def test_evidence_is_folded_and_opens_by_key_and_by_a_link_to_a_check(page: devtools.Page) -> None:
    page.find("location.hash = '#calibration'")
    folded = "document.querySelector('#calibration .evidence').open"
    assert page.find("[...document.querySelectorAll('.evidence')].every((each) => !each.open)")
    page.find("document.querySelector('#calibration .evidence > summary').focus()")
    page.press("Enter")
    assert page.find(folded)
    page.press("Enter")
    assert not page.find(folded)
    page.find("location.hash = '#calibration.likelihood'; new Promise((go) => setTimeout(go, 50))")
    assert page.find(folded)


STATE = """(() => {
  const figure = document.getElementById(window.figure), at = document.activeElement;
  const look = getComputedStyle(at), box = at.getBoundingClientRect();
  return { name: at.name || at.type, kind: at.type, in: figure.contains(at),
    seen: look.outlineStyle !== "none" && box.top >= 0 && box.bottom <= innerHeight,
    set: [...figure.querySelectorAll("input, select")].map((one) => one.value).join(),
    read: [...figure.querySelectorAll("data")].map((one) => one.value).join(),
    says: figure.querySelector(".says").textContent };
})()"""
FIRST = "document.getElementById(window.figure = '{0}').querySelector('form').elements[0].focus()"


@in_browser
@pytest.mark.parametrize("figure", explorables.FIGURES, ids=lambda figure: figure.id)
def test_every_setting_of_a_figure_can_be_made_by_keys_alone(
    page: devtools.Page, figure: explorables.Explorable
) -> None:
    page.find(FIRST.format(figure.id))
    page.find("new Promise((go) => setTimeout(go, 50))")  # the page is scrolled there with its next frame
    opened = page.find(STATE)
    for control in figure.controls:
        before = page.find(STATE)
        assert before["name"] == control.name and before["seen"]
        moves = ("ArrowDown",) if isinstance(control, explorables.Choice) else ("ArrowRight", "Home", "End")
        reached = []
        for key in moves:
            page.press(key)
            reached.append(page.find(STATE))
        assert len({before["set"], *(state["set"] for state in reached)}) > 1, control.name
        assert all(state["in"] and state["read"] for state in reached)
        page.press("Tab")
    assert page.find(STATE)["kind"] == "reset"
    assert page.find(STATE)["read"] != opened["read"]
    page.press("Enter")
    page.find("new Promise((go) => setTimeout(go, 50))")  # a form is set back only after its event
    again = page.find(STATE)
    assert (again["set"], again["read"], again["says"]) == (opened["set"], opened["read"], opened["says"])


PAPERS = {"A4": (8.27, 11.69), "letter": (8.5, 11.0)}  # inches


def sides(page: devtools.Page, study: str, paper: str) -> int:
    """The printed sides of a study's address."""
    page.find(f"location.hash = '#{study}'")
    sizes = dict(zip(("paperWidth", "paperHeight"), PAPERS[paper], strict=True))
    printed = base64.b64decode(page.do("Page.printToPDF", preferCSSPageSize=True, **sizes)["data"])
    return len(re.findall(rb"/Type\s*/Page\b", printed))


@in_browser
@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("study", LONGEST)
def test_a_study_prints_by_itself_on_two_sides(page: devtools.Page, study: str, paper: str) -> None:
    assert 1 <= sides(page, study, paper) <= 2


@in_browser
@pytest.mark.long
@pytest.mark.parametrize("paper", PAPERS)
def test_every_study_does(page: devtools.Page, paper: str) -> None:
    studies = page.find("[...document.querySelectorAll('tr[data-claim]')].map((row) => row.dataset.claim)")
    assert {study: number for study in studies if (number := sides(page, study, paper)) > 2} == {}
