"""The report: all claims, nothing foreign, nothing unescaped, from files alone."""

import dataclasses
import json
import re
import shutil
from html.parser import HTMLParser

import made_up_study as made_up
import msgspec
import pytest

from crosscheck.claims import Published, PublishedNumber, register, verdicts
from crosscheck.claims.words import Verdict
from crosscheck.errors import UsageError
from crosscheck.report import markup, path_matrix, pdf, records
from crosscheck.report.page import SCRIPTS, write_report

NAMES = ("label_smoothing", "saturation")  # not in the register's order
HOLDS, FAILS = Verdict.HOLDS, Verdict.FAILS
VOID = {"meta", "img", "br", "wbr", "link", "hr", "input"}
CLOSED_BY_THE_NEXT = {"td", "th", "tr"}


class Page(HTMLParser):
    """Every tag with its attributes, the text, and whether the tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in CLOSED_BY_THE_NEXT:
            self.leave(CLOSED_BY_THE_NEXT if tag == "tr" else {"td", "th"})
        if tag not in VOID:
            self.open.append(tag)

    def leave(self, tags):
        while self.open[-1] in tags:
            self.open.pop()

    def handle_endtag(self, tag):
        self.leave(CLOSED_BY_THE_NEXT - {tag} if tag != "td" else set())
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()} closes another"

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data

    def of(self, attribute: str) -> list[str]:
        return [attrs[attribute] for _, attrs in self.tags if attribute in attrs]


def write(folder, names=NAMES, **changed):
    for name in names:
        study = made_up.study(title=f"{name} {made_up.NASTY}", **changed)
        made_up.write(folder, name, study)
    write_report(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("results")
    write(place)
    return place


@pytest.fixture(scope="module")
def of_one(tmp_path_factory):
    """Results of a single study, with their report."""
    place = tmp_path_factory.mktemp("one")
    write(place, ("saturation",))
    return place


@pytest.fixture
def alone(of_one, tmp_path):
    """A copy of them, to be changed."""
    return shutil.copytree(of_one, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def html(folder):
    return (folder / "report.html").read_text()


@pytest.fixture
def page(html):
    return Page(html)


@pytest.fixture
def readme(folder):
    return (folder / "README.md").read_text()


def test_the_page_is_well_formed(page):
    assert page.open == []
    identities = page.of("id")
    assert len(identities) == len(set(identities))


def test_the_page_is_one_file(html, page):
    assert all(source.startswith("data:image/") for source in page.of("src")) and page.of("src")
    assert not re.search(r"url\((?!%23)|@import|<link|<iframe", html)  # `%23`: within a figure itself
    assert re.findall(r"<script[^>]*>", html) == ["<script>"] * len(SCRIPTS)
    assert not [value for _, attrs in page.tags for name, value in attrs.items() if name.startswith("on")]


def test_without_chromium_printing_says_what_to_install(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="apt-get install chromium"):
        pdf.to_pdf(folder / "report.html", tmp_path / "report.pdf")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not pdf.find(), reason="Chromium is not installed (Debian: chromium)")
def test_chromium_prints_the_page(folder, tmp_path):
    pdf.to_pdf(folder / "report.html", tmp_path / "made" / "report.pdf")
    assert (tmp_path / "made" / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_every_link_leads_somewhere_on_the_page(page):
    links = page.of("href")
    assert links and all(link.startswith("#") for link in links)
    assert {link[1:] for link in links} <= set(page.of("id"))


def test_every_full_figure_says_what_it_shows(page):
    shown = [attrs["alt"] for tag, attrs in page.tags if tag == "img" and "width" in attrs]
    assert len(shown) == len(NAMES) and all("the claim fails" in alt for alt in shown)


@pytest.mark.parametrize("name", NAMES)
def test_page_has_claim_checks_verdicts_and_how_to_run_it_again(page, name):
    claim, text = made_up.study().CLAIM, page.text.replace("`", "")  # what stands between backticks is code
    parts = [f"{name} {made_up.NASTY}", claim.statement, claim.source, claim.correct]
    for check in made_up.CHECKS:
        parts += [check.statement, check.control]
    assert all(part.replace("`", "") in text for part in parts)
    assert f"make {name}" in page.text and f"crosscheck run {name}" in page.text


def test_page_says_the_verdicts_and_why(page):
    text = " ".join(page.text.split())
    assert "of 59 sentences 1 is false and 58 open." in text
    assert "bounded does not hold: it is bounded away from zero" in text
    assert "✓ holds" in text and "✗ fails" in text and "? undecided" in text
    assert "fresh seeds would decide" in text
    assert "mnist is not installed or prepared there" in text
    assert "failed, as it must" in text and "held, as it must" in text
    assert "speaks of the same examples for every seed" in text
    assert "a pilot: its design is not registered" in text


def test_page_says_how_sure(page):
    text = " ".join(page.text.split())
    ends = len(NAMES) * (2 * 2 + 1 + 1)  # two settings of an `Equal` were run, and two checks have one margin
    tail = made_up.PROVENANCE["error_rate"] / made_up.PROVENANCE["tails"]
    assert f"of the whole suite is wrong is at most {100 * ends * tail / 2:.2g} %" in text
    assert "150 of them in the latest" in text and "99.9933 %" in text


def test_paths_are_counted_and_tabulated(page, readme):
    for text in (page.text, readme):
        assert "holds on 6 of 8 paths, fails on 2" in text
        assert "device cpu" in text
    assert readme.count("| mixed_float16 | ✗ | ✗ |") == len(NAMES)


def test_formulas_are_typeset(html, page, readme):
    assert sum(tag == "math" for tag, _ in page.tags) >= 2 * len(NAMES)
    assert "$$\nL = -\\sum_k y_k \\log p_k\n$$" in readme


def test_what_users_write_is_text(html, readme):
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html
    assert "<script>" not in readme.replace(r"\<script\>", "")
    assert "*not*" not in readme.replace(r"\*not\*", "")


def test_readme_tables_have_as_many_cells_as_their_heads(readme):
    width = None
    for line in readme.splitlines():
        if not line.startswith("|"):
            width = None
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        assert width in (None, cells), line
        width = cells


def test_readme_leads_only_to_what_is_there(folder, readme):
    for link in re.findall(r"\]\(([^)]*)\)", readme):
        there = f'<a id="{link[1:]}"></a>' in readme if link.startswith("#") else (folder / link).exists()
        assert there, link
    assert "![Figure" in readme


def test_claims_stand_in_the_order_of_the_register(page, readme):
    order = sorted(NAMES, key=register.NAMES.index)
    assert [i for i in page.of("id") if i in NAMES] == order
    assert [i for i in re.findall(r'<a id="(.*?)"></a>', readme) if i in NAMES] == order


def test_the_same_results_give_the_same_bytes_and_leave_nothing_behind(folder, tmp_path):
    write(tmp_path)
    for name in ("README.md", "report.html"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {*NAMES, "README.md", "chapter.json", "report.html"}


def test_a_single_study_makes_a_report(of_one):
    assert "of 59 sentences 1 is false and 58 open" in (of_one / "report.html").read_text()


def test_a_study_without_figure_and_table_makes_a_report(alone):
    for path in [*alone.glob("*/table.*"), *alone.glob("*/figure.*")]:
        path.unlink()
    write_report(alone)
    assert not Page((alone / "report.html").read_text()).of("src")
    assert "![" not in (alone / "README.md").read_text()


def test_without_any_rows_a_report_says_so(tmp_path):
    study = made_up.study()
    judged = verdicts.judge_study(study, made_up.measured().iloc[:0], made_up.PROVENANCE["level"])
    made_up.write(tmp_path, "saturation", study, judged)
    write_report(tmp_path)
    assert "rows are missing" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("kept", "verdict", "why"),
    [
        ((0, 1), "scoped", "gradient holds on 6 of 8 paths, fails on 2"),
        ((1,), "holds", "its one check holds"),
        ((1, 3), "undecided", "minimum the interval straddles the margin"),
    ],
)
def test_the_reason_fits_the_verdict(tmp_path, kept, verdict, why):
    write(tmp_path, ("saturation",), checks=tuple(made_up.CHECKS[i] for i in kept))
    page = Page((tmp_path / "report.html").read_text())
    text = " ".join(page.text.split())
    assert records.read_all(tmp_path)[0].verdict == verdict
    assert why in text


def test_a_measured_number_that_is_not_finite_is_told_from_one_that_is_missing(tmp_path):
    study = made_up.study()
    first, *others = made_up.judged(study).checks
    first = msgspec.structs.replace(first, estimate=None, interval=(None, None))
    judged = verdicts.StudyVerdict(verdict=first.verdict, checks=[first, *others])
    made_up.write(tmp_path, "saturation", study, judged)
    write_report(tmp_path)
    for name in ("README.md", "report.html"):
        assert (tmp_path / name).read_text().count("not finite") == 1


CARD = {
    **{
        "loss": "mine:Loss",
        "config": {"alpha": 0.5},
        "kind": "sparse",
        "backend": "torch",
        "keras": "3.15.1",
    },
    "failed": {"valid": 1, "misuse": 0},
    "checks": [
        {"check": "centre", "verdict": "passed"},
        {"check": "wrong tail", "verdict": "failed", "at": "z = −16", "cause": made_up.NASTY},
    ],
}


@pytest.fixture
def audited(folder, tmp_path):
    """A results folder beside whose claims lie a scorecard and a defect."""
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "audit" / "defects").mkdir(parents=True)
    (tmp_path / "audit" / "audit.json").write_text(json.dumps([CARD]))
    (tmp_path / "audit" / "defects" / "one.md").write_text(f"# It is {made_up.NASTY}\n\nSee `it`.\n")
    return tmp_path


def test_the_audits_scorecards_and_defects_are_shown(audited):
    write_report(audited)
    page, readme = Page((audited / "report.html").read_text()), (audited / "README.md").read_text()
    text = " ".join(page.text.split())
    assert (
        "Loss(alpha=0.5), sparse: 1 failed" in text and "on PyTorch" in text and "None of them pass" in text
    )
    assert text.count(f"It is {made_up.NASTY}") == 1 and "z = −16" in text
    assert "alert" not in " ".join(tag for tag, _ in page.tags) and page.open == []
    assert "(audit/defects/one.md)" in readme and "| Loss(alpha=0.5), sparse | wrong tail |" in readme


@pytest.mark.parametrize("content", ["", "{}", "[]", "[1]", '[{"loss": 3}]', "[NaN]", "\x00"])
def test_an_audit_that_is_broken_is_named(audited, content):
    (audited / "audit" / "audit.json").write_text(content)
    with pytest.raises(UsageError, match=r"audit\.json is not an audit.*crosscheck audit"):
        write_report(audited)


def test_published_numbers_stand_beside_ours(tmp_path):
    study = made_up.study()
    paper = Published(
        "FPR95", "They 2020", (PublishedNumber("energy", 0.33, "mean"),), {"seeds": ("1", "12")}
    )
    study.CLAIM = dataclasses.replace(study.CLAIM, published=paper)
    made_up.write(tmp_path, "saturation", study)
    write_report(tmp_path)
    text = " ".join(Page((tmp_path / "report.html").read_text()).text.split())
    section = text[text.index("Published, and ours") :]
    assert "They 2020" in section and "0.33" in section and "seeds112" in section
    assert "| energy | 0.33 |" in (tmp_path / "README.md").read_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`a_b` < c", "<code>a_<wbr>b</code> &lt; c"),
        ("it`s", "it`s"),
        ("``", "<code></code>"),
        ("<i>", "&lt;i&gt;"),
        ("`<i>/b`", "<code>&lt;i&gt;/<wbr>b</code>"),
    ],
)
def test_what_stands_between_backticks_is_code(text, shown):
    assert str(markup.ticked(text)) == shown


def test_nothing_to_report_is_said(tmp_path):
    with pytest.raises(UsageError, match="no results in"):
        write_report(tmp_path)


@pytest.mark.parametrize("name", ["figure.svg", "table.csv", "verdict.json"])
def test_a_broken_file_is_named(alone, name):
    (alone / "saturation" / name).write_bytes(b"\xff\x00")
    with pytest.raises(UsageError, match=name):
        write_report(alone)


@pytest.mark.parametrize(
    "formula",
    [
        r"\frac{a",
        r"\nosuch{x}",
        r"a & b",
        r"\text{<script>alert(1)</script>}",
        r"\href{https://e.org}{x}",
        "",
    ],
)
def test_a_formula_that_cannot_be_read_harms_nothing(formula):
    shown = str(markup.mathml(formula))
    assert "<script" not in shown and "href=" not in shown and Page(shown).open == []


def test_few_settings_are_named():
    scope = {"a": HOLDS, "b": FAILS}
    assert path_matrix.named(scope) == [("holds", ["a"]), ("fails", ["b"])]
    assert path_matrix.counted(scope) == "holds on 1 of 2 settings, fails on 1"
    assert path_matrix.matrix(scope) is None


def test_settings_that_share_a_path_share_a_cell_which_shows_the_worst():
    paths = [
        f"binary/tensorflow/cpu/{mode}/float32/dense/logits/{i}" for mode in ("eager", "graph") for i in "abc"
    ]
    scope = {f"{setting} · {path}": HOLDS for setting in ("s", "t", "u") for path in paths}
    scope[f"t · {paths[0]}"] = FAILS
    ((heads, cells),) = path_matrix.matrix(scope).rows
    assert heads == ()
    assert [str(cell) for cell in cells] == ["✗ 1/3", *["✓"] * 5]


def test_lines_of_a_matrix_that_say_the_same_become_one():
    modes, policies = ("eager", "graph"), ("float64", "float32", "mixed_float16")
    path = "binary/tensorflow/cpu/{}/{}/{}/probabilities/keras class".format
    scope = {path(m, p, h): HOLDS for m in modes for p in policies for h in ("dense", "reshape")}
    scope[path("graph", "mixed_float16", "dense")] = FAILS
    lines = {heads: [str(cell) for cell in cells] for heads, cells in path_matrix.matrix(scope).rows}
    assert lines == {
        ("dense", "float32, float64"): ["✓", "✓"],
        ("dense", "mixed_float16"): ["✓", "✗"],
        ("reshape", "float32, float64, mixed_float16"): ["✓", "✓"],
    }


def test_letters_of_a_word_in_a_formula_are_one_and_arg_min_is_known():
    formula = str(markup.mathml(r"\arg\min_p \mathrm{acc} + \mathrm{d}x"))
    assert "<mi>acc</mi>" in formula and "<mi>arg</mi>" in formula and "\\" not in formula
