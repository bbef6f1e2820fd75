"""The committed page in a real browser: its script, its links, its width, its colours, its print."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import browser
import pytest

from crosscheck.report.page import write_report
from crosscheck.report.pdf import find

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not find(), reason="Chromium is not installed (Debian: chromium)")

SHOWN = """
const rows = () => [...doc.querySelectorAll("tr[data-claim]")];
const section = (row) => doc.getElementById(row.dataset.claim);
const shown = () => rows().filter((row) => !row.hidden);
const type = (words) => { const box = doc.querySelector("input[type=search]"); box.value = words;
  box.dispatchEvent(new frame.Event("input", { bubbles: true })); };
"""

CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report anew from the committed results, with whatever the templates say now."""
    folder = tmp_path_factory.mktemp("page") / "results"
    shutil.copytree(ROOT / "results", folder)
    return next(path for path in write_report(folder) if path.suffix == ".html")


def seen(page: Path, probe: str, **how: Any) -> Any:
    """What the probe saw on a page that had nothing to complain of."""
    answer, console = browser.look(page, probe, **how)
    assert not console and not (isinstance(answer, dict) and "error" in answer), (answer, console)
    return answer


def test_every_link_leads_to_something(page: Path) -> None:
    probe = """return [...doc.querySelectorAll("a[href]")].map((a) => a.getAttribute("href"))
      .filter((href) => href[0] !== "#" || !doc.getElementById(decodeURIComponent(href.slice(1))));"""
    assert seen(page, probe) == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_sticks_out_at_any_width(page: Path, width: int) -> None:
    probe = """doc.querySelectorAll("details").forEach((each) => { each.open = true; });
      return [doc.documentElement.scrollWidth, doc.documentElement.clientWidth];"""
    wide, room = seen(page, probe, width=width)
    assert wide <= room <= width


def test_a_verdict_filters_rows_and_sections(page: Path) -> None:
    probe = f"""{SHOWN}
      const kinds = {{}};
      for (const button of doc.querySelectorAll("#filter button[data-verdict]")) {{
        button.click();
        const verdict = button.dataset.verdict;
        kinds[verdict] = [shown().length, rows().filter((row) => row.dataset.verdict === verdict).length,
          shown().every((row) => row.dataset.verdict === verdict && !section(row).hidden),
          rows().filter((row) => row.hidden).every((row) => section(row).hidden),
          doc.querySelector("#filter output").textContent];
        button.click();
      }}
      return [kinds, rows().length, shown().length];"""
    kinds, everything, after = seen(page, probe)
    assert after == everything and sum(total for _, total, *_ in kinds.values()) == everything
    for shown, total, fit, hidden, message in kinds.values():
        assert shown == total and fit and hidden
        assert message == ("" if total == everything else f"{total} of {everything} claims")


def test_search_looks_into_the_sections_and_can_be_undone(page: Path) -> None:
    probe = f"""{SHOWN}
      const seen = [];
      for (const words of ["label smoothing calibration", "no such words anywhere", ""]) {{
        type(words); seen.push(shown().map((row) => row.dataset.claim)); }}
      type("no such words anywhere"); doc.querySelector("#filter button[type=reset]").click();
      return [...seen, shown().length];"""
    matching, none, everything, again = seen(page, probe)
    assert 0 < len(matching) < len(everything) == again and none == []


def test_a_link_to_a_filtered_claim_shows_it(page: Path) -> None:
    probe = f"""{SHOWN}
      type("no such words anywhere");
      const target = section(rows()[2]), before = target.hidden;
      frame.location.hash = target.id; frame.dispatchEvent(new frame.HashChangeEvent("hashchange"));
      return [before, target.hidden];"""
    assert seen(page, probe) == [True, False]


def test_tables_sort_by_number_both_ways_with_what_is_none_last(page: Path) -> None:
    probe = """
      return [...doc.querySelectorAll("section table")].map((table) => {
        const head = [...table.tHead.rows[0].cells].find((cell) => cell.textContent.includes("Estimate"));
        if (!head || table.tBodies[0].rows.length < 3) return null;
        const cells = () => [...table.tBodies[0].rows].map((row) => row.cells[head.cellIndex]);
        const value = (cell) => (cell.dataset.v ? Number(cell.dataset.v) : null);
        const seen = () => [head.ariaSort, cells().map(value)];
        const button = head.querySelector("button");
        button.click();
        const up = seen();
        button.click();
        return [up, seen()];
      }).filter(Boolean);"""
    tables = seen(page, probe)
    assert len(tables) > 20
    for (rising, up), (falling, down) in tables:
        values = sorted(value for value in up if value is not None)
        none = [None] * (len(up) - len(values))
        assert (rising, up) == ("ascending", values + none)
        assert (falling, down) == ("descending", values[::-1] + none)


def test_a_table_of_a_study_sorts_by_words_and_by_what_its_numbers_say(page: Path) -> None:
    probe = """
      const table = doc.querySelector("#surprise .own"), read = (i) => [...table.tBodies[0].rows].map((row) =>
        row.cells[i].textContent);
      return [...table.tHead.rows[0].cells].map((head, i) => {
        head.querySelector("button").click();
        return [head.classList.contains("n"), read(i)];
      });"""
    for numeric, column in seen(page, probe):
        numbers = [value for value in map(number, column) if value is not None]
        assert numbers == sorted(numbers) if numeric else column == sorted(column, key=str.casefold)


def number(text: str) -> float | None:
    """A number as the report writes it: `−1.2 × 10⁻³`; None for a dash."""
    plain = text.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")).replace(" × 10", "e")
    plain = plain.replace("∞", "inf")
    return None if text == "—" else float(plain)


@pytest.mark.parametrize("scheme", [browser.LIGHT, browser.DARK])
def test_every_text_can_be_told_from_its_ground(page: Path, scheme: int) -> None:
    assert seen(page, CONTRAST, scheme=scheme) == []


def test_everything_can_be_reached_by_keyboard_and_has_a_name(page: Path) -> None:
    probe = """
      const boxes = [...doc.querySelectorAll(".scroll")];
      const scrolls = boxes.filter((box) => box.tabIndex !== 0 || !box.ariaLabel);
      const nameless = [...doc.querySelectorAll("button, a[href]")].filter((element) =>
        !element.textContent.trim() && !element.ariaLabel && !element.ariaHidden);
      const pictures = [...doc.querySelectorAll("img:not([alt])")];
      return [scrolls.length, nameless.length, pictures.length];"""
    assert seen(page, probe) == [0, 0, 0]
