"""The committed page in a real browser: its script, its links, its width, its colours, its print."""

from __future__ import annotations

import shutil
from collections.abc import Callable
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
const type = (words) => { const box = doc.querySelector("#filter input"); box.value = words;
  box.dispatchEvent(new frame.Event("input", { bubbles: true })); };
"""

WIDTH, WIDTHS = 1280, (360, 768, 1280, 1600)
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report anew from the committed results, with whatever the templates say now."""
    folder = tmp_path_factory.mktemp("page") / "results"
    shutil.copytree(ROOT / "results", folder)
    return next(path for path in write_report(folder) if path.suffix == ".html")


PROBES: dict[str, tuple[int, str]] = {}
Test = Callable[..., None]


def looks(probe: str, *widths: int) -> Callable[[Test], Test]:
    """What `seen` is in a test: the answer of this probe, of the width that the test takes as a parameter."""

    def registered(test: Test) -> Test:
        PROBES.update({f"{test.__name__} {width}": (width, probe) for width in widths or (WIDTH,)})
        return test

    return registered


@pytest.fixture(scope="module")
def answers(page: Path) -> dict[int, dict[str, Any]]:
    """Of all probes, each in a page of its own, by the scheme of colours: Chromium starts once for either."""
    texts = {name: look for name, look in PROBES.items() if look[1] is CONTRAST}
    looks_of = {browser.LIGHT: PROBES, browser.DARK: texts}
    return {scheme: browser.look(page, looks, scheme) for scheme, looks in looks_of.items()}


@pytest.fixture
def seen(answers: dict[int, dict[str, Any]], request: pytest.FixtureRequest) -> Any:
    """What the probe of a test saw on a page that had nothing to complain of."""
    chosen = getattr(request.node, "callspec", None)
    how = chosen.params if chosen else {}
    told = answers[how.get("scheme", browser.LIGHT)]
    answer = told[f"{request.function.__name__} {how.get('width', WIDTH)}"]
    assert not told["console"] and not (isinstance(answer, dict) and "error" in answer), (
        answer,
        told["console"],
    )
    return answer


@looks(
    """const target = (href) => doc.getElementById(decodeURIComponent(href.slice(1).split("?")[0]));
  return [...doc.querySelectorAll("a[href]")].map((a) => a.getAttribute("href"))
  .filter((href) => href[0] !== "#" || !target(href));""",
)
def test_every_link_leads_to_something(seen: Any) -> None:
    assert seen == []


@pytest.mark.parametrize("width", WIDTHS)
@looks(
    """doc.querySelectorAll("details").forEach((each) => { each.open = true; });
  return [doc.documentElement.scrollWidth, doc.documentElement.clientWidth];""",
    *WIDTHS,
)
def test_nothing_sticks_out_at_any_width(seen: Any, width: int) -> None:
    wide, room = seen
    assert wide <= room <= width


@looks(
    f"""{SHOWN}
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
  return [kinds, rows().length, shown().length];""",
)
def test_a_verdict_filters_rows_and_sections(seen: Any) -> None:
    kinds, everything, after = seen
    assert after == everything and sum(total for _, total, *_ in kinds.values()) == everything
    for shown, total, fit, hidden, message in kinds.values():
        assert shown == total and fit and hidden
        assert message == ("" if total == everything else f"{total} of {everything} studies")


@looks(
    """
  const rows = [...doc.querySelectorAll("tr[data-sentence]")];
  const shown = () => rows.filter((row) => !row.hidden);
  const parts = [...doc.querySelectorAll(".part")];
  const kinds = [...doc.querySelectorAll("#sentences-filter button[data-verdict]")].map((button) => {
    button.click();
    const right = shown().every((row) => row.dataset.verdict === button.dataset.verdict);
    const empty = parts.filter((part) => part.hidden === shown().some((row) => part.contains(row))).length;
    const count = shown().length;
    button.click();
    return [right, empty, count];
  });
  const box = doc.querySelector("#sentences-filter input");
  box.value = "no such words anywhere"; box.dispatchEvent(new frame.Event("input", { bubbles: true }));
  const none = shown().length;
  frame.location.hash = "S22"; frame.dispatchEvent(new frame.HashChangeEvent("hashchange"));
  return [kinds, none, shown().length, rows.map((row) => row.id)];""",
)
def test_sentences_are_filtered_by_verdict_and_a_link_to_one_shows_it(seen: Any) -> None:
    kinds, none, again, ids = seen
    assert all(right and not empty and count for right, empty, count in kinds)
    assert sum(count for *_, count in kinds) == again == len(ids) == 59 and none == 0
    assert ids == [f"S{i:02}" for i in range(1, 60)]


@looks(
    f"""{SHOWN}
  const seen = [];
  for (const words of ["label smoothing calibration", "no such words anywhere", ""]) {{
    type(words); seen.push(shown().map((row) => row.dataset.claim)); }}
  type("no such words anywhere"); doc.querySelector("#filter button[type=reset]").click();
  return [...seen, shown().length];""",
)
def test_search_looks_into_the_sections_and_can_be_undone(seen: Any) -> None:
    matching, none, everything, again = seen
    assert 0 < len(matching) < len(everything) == again and none == []


@looks(
    f"""{SHOWN}
  type("no such words anywhere");
  const target = section(rows()[2]), before = target.hidden;
  frame.location.hash = target.id; frame.dispatchEvent(new frame.HashChangeEvent("hashchange"));
  return [before, target.hidden];""",
)
def test_a_link_to_a_filtered_claim_shows_it(seen: Any) -> None:
    assert seen == [True, False]


@looks(
    """
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
  }).filter(Boolean);""",
)
def test_tables_sort_by_number_both_ways_with_what_is_none_last(seen: Any) -> None:
    tables = seen
    assert len(tables) > 20
    for (rising, up), (falling, down) in tables:
        values = sorted(value for value in up if value is not None)
        none = [None] * (len(up) - len(values))
        assert (rising, up) == ("ascending", values + none)
        assert (falling, down) == ("descending", values[::-1] + none)


@looks(
    """
  const table = doc.querySelector("#surprise .own"), read = (i) => [...table.tBodies[0].rows].map((row) =>
    row.cells[i].textContent);
  return [...table.tHead.rows[0].cells].map((head, i) => {
    head.querySelector("button").click();
    return [head.classList.contains("n"), read(i)];
  });""",
)
def test_a_table_of_a_study_sorts_by_words_and_by_what_its_numbers_say(seen: Any) -> None:
    for numeric, column in seen:
        numbers = [value for value in map(number, column) if value is not None]
        assert numbers == sorted(numbers) if numeric else column == sorted(column, key=str.casefold)


def number(text: str) -> float | None:
    """A number as the report writes it: `−1.2 × 10⁻³`; None for a dash."""
    plain = text.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")).replace(" × 10", "e")
    plain = plain.replace("∞", "inf")
    return None if text == "—" else float(plain)


@pytest.mark.parametrize("width", (360, 1280))
@pytest.mark.parametrize("scheme", [browser.LIGHT, browser.DARK])
@looks(CONTRAST, 360, 1280)
def test_every_text_can_be_told_from_its_ground(seen: Any, scheme: int, width: int) -> None:
    assert seen == []


@looks(
    """
  const boxes = [...doc.querySelectorAll(".scroll")];
  const scrolls = boxes.filter((box) => box.tabIndex !== 0 || !box.ariaLabel);
  const nameless = [...doc.querySelectorAll("button, a[href]")].filter((element) =>
    !element.textContent.trim() && !element.ariaLabel && !element.ariaHidden);
  const pictures = [...doc.querySelectorAll("img:not([alt])")];
  return [scrolls.length, nameless.length, pictures.length];""",
)
def test_everything_can_be_reached_by_keyboard_and_has_a_name(seen: Any) -> None:
    assert seen == [0, 0, 0]
