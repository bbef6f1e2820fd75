"""Numbers as they are shown, and tables as they are saved."""

import math
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from crosscheck.errors import UsageError
from crosscheck.report import markup, tables


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.123456, "0.1235"), (-0.5, "−0.5"), (2.0, "2"), (0.0, "0"), (-0.0, "0"), (1234.5678, "1235"),
        (16.11809, "16.12"), (9.99996, "10"), (1e-7, "1 × 10⁻⁷"), (-2.5e9, "−2.5 × 10⁹"),
        (0.00012, "0.00012"),
        (12345, "12345"), (10**8, "1 × 10⁸"), (np.int64(3), "3"), (np.float32(0.5), "0.5"),
        (math.inf, "∞"), (-math.inf, "−∞"), (math.nan, "—"), (None, "—"),
    ],
)  # fmt: skip
def test_number(value, shown):
    assert tables.number(value) == shown


@pytest.mark.parametrize(
    ("estimate", "shown"),
    [
        ((0.123, 0.120, 0.126), "0.123 [0.120, 0.126]"),
        ((0.12345, 0.1220, 0.1249), "0.1235 [0.1220, 0.1249]"),
        ((-3.0, -4.0, -2.0), "−3.0 [−4.0, −2.0]"),
        ((1234.0, 1204.0, 1264.0), "1234 [1204, 1264]"),
        ((1e-7, 0.7e-7, 1.3e-7), "1.0 [0.7, 1.3] × 10⁻⁷"),
        ((0.00001, -0.4, 0.4), "0.0 [−0.4, 0.4]"),
        ((0.5, 0.5, 0.5), "0.5"),
        ((0.5, None, None), "0.5 (no interval)"),
        ((0.5, 0.4, None), "0.50 [0.40, ∞]"),
        ((None, None, None), "—"),
    ],
)
def test_interval(estimate, shown):
    assert tables.interval(*estimate) == shown


@pytest.mark.parametrize("half", [0.0011, 0.0029, 0.0031, 0.0095, 0.04, 7.7])
def test_rounding_an_interval_moves_no_end_by_more_than_a_sixth_of_its_half_width(half):
    shown = tables.interval(1 / 3, 1 / 3 - half, 1 / 3 + half).replace("−", "-")
    ends = [float(end) for end in re.findall(r"[-\d.]+", shown)]
    assert np.abs(np.array(ends) - [1 / 3, 1 / 3 - half, 1 / 3 + half]).max() <= half / 6


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.01, "1 %"), (0.5, "50 %"), (0.95, "95 %"), (1 - 0.01 / 150, "99.9933 %"), (1.0, "100 %")],
)
def test_percent(share, shown):
    assert tables.percent(share) == shown


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b & 5 % of $3 #1 {x}", r"a\_b \& 5 \% of \$3 \#1 \{x\}"),
        (r"\input{~^}", r"\textbackslash{}input\{\textasciitilde{}\textasciicircum{}\}"),
        ("ε, Σ, Α", r"\ensuremath{\varepsilon}, \ensuremath{\Sigma}, A"),
        ("1 × 10⁻⁷", r"1 \texttimes{} 10$^{-7}$"),
        ("p ≤ ½", r"p \ensuremath{\leq} \textonehalf{}"),
        ("Y₁₂ −2", r"Y$_{12}$ \ensuremath{-}2"),
        ("$σ²", r"\$\ensuremath{\sigma}$^{2}$"),
        ("a | b √ ✓ ✗", r"a $|$ b $\surd$ $\surd$ $\times$"),
        ("é", r"\'e"),
        ("漢", "漢"),
    ],
)
def test_latex_escapes(text, escaped):
    assert markup.latex(text) == escaped


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b <i> *x* `y` [z] $5 & \\", r"a\|b \<i\> \*x\* \`y\` \[z\] \$5 \& \\"),
        ("softmax_competition _x_", r"softmax_competition \_x\_"),
        ("- no list\n\nno break", r"\- no list no break"),
    ],
)
def test_markdown_escapes(text, escaped):
    assert markup.markdown(text) == escaped


def test_a_formula_in_a_markdown_cell_has_no_bar():
    assert "|" not in markup.markdown_formula(r"|x| \le \|y\|")


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "loss_name": ["BCE | CCE", "50 % & [x]"],
            "value": [0.123456789, math.nan],
            "n": [3, 40],
            "ok": [True, False],
        }
    )


def test_csv_keeps_every_digit_and_reads_back(frame, tmp_path):
    tables.save(frame, tmp_path)
    assert "0.123456789" in (tmp_path / "table.csv").read_text()
    pd.testing.assert_frame_equal(tables.read(tmp_path / "table.csv"), frame, check_dtype=False)


def test_the_word_none_is_no_missing_value(tmp_path):
    tables.save(pd.DataFrame({"smoothing": ["none", "NA"], "x": [1.0, math.nan]}), tmp_path)
    assert tables.read(tmp_path / "table.csv")["smoothing"].tolist() == ["none", "NA"]


def test_markdown(frame):
    assert tables.to_markdown(frame).splitlines() == [
        "| loss_name | value | n | ok |",
        "| --- | ---: | ---: | --- |",
        r"| BCE \| CCE | 0.1235 | 3 | yes |",
        r"| 50 % \& \[x\] | — | 40 | no |",
    ]


def test_latex(frame):
    lines = tables.to_latex(frame).splitlines()
    assert lines[1:3] == [r"\begin{tabular}{lrrl}", r"\toprule"]
    assert lines[3] == r"loss\_name & value & n & ok \\"
    assert lines[5] == r"BCE $|$ CCE & 0.1235 & 3 & yes \\"
    assert lines[6] == r"50 \% \& [x] & \textemdash{} & 40 & no \\"
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]


def test_a_latex_cell_that_begins_with_a_bracket_is_no_option():
    assert r"{[0, 1]} \\" in tables.to_latex(pd.DataFrame({"interval": ["[0, 1]"]}))


def test_an_index_that_says_something_becomes_a_column():
    frame = pd.DataFrame({"value": [1.0]}, index=pd.Index(["BCE"], name="loss"))
    assert tables.to_csv(frame) == "loss,value\nBCE,1.0\n"


def test_two_level_headings_become_one_line():
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("ECE", "mean"), ("ECE", "sd")]))
    assert tables.to_csv(frame).startswith("ECE mean,ECE sd\n")


def test_a_file_that_is_no_table_is_named(tmp_path: Path):
    (tmp_path / "table.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=re.escape(str(tmp_path / "table.csv"))):
        tables.read(tmp_path / "table.csv")


LATEX = r"""\documentclass{article}
\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{booktabs}
\begin{document}
%s
\end{document}
"""


def latex_has(file: str) -> bool:
    find = shutil.which("pdflatex") and shutil.which("kpsewhich")
    return bool(find and subprocess.run([find, file], capture_output=True, check=False).stdout)


@pytest.mark.skipif(not latex_has("booktabs.sty"), reason="LaTeX with booktabs is not installed")
def test_the_committed_latex_tables_compile(tmp_path):
    files = sorted((Path(__file__).parents[1] / "results").glob("*/table.tex"))
    shown = "\n".join(rf"\begingroup\tiny\input{{{file}}}\endgroup\clearpage" for file in files)
    (tmp_path / "all.tex").write_text(LATEX % shown, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-draftmode", "all.tex"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert len(files) > 10 and ran.returncode == 0, ran.stdout.decode(errors="replace")[-2000:]
