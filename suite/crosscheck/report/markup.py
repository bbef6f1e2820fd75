"""Text and formulas for the page: whatever a study or a user's code says is escaped for where it stands."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from itertools import groupby
from xml.etree import ElementTree

from markupsafe import Markup, escape
from pylatexenc.latexencode import (
    RULE_DICT,
    RULE_REGEX,
    UnicodeToLatexConversionRule,
    UnicodeToLatexEncoder,
)

MATHML_TAGS = re.compile(
    "math|m(row|i|n|o|text|space|frac|sqrt|root|style|error|padded|phantom|sub|sup|subsup|under|over|underover)"
    "|m(multiscripts|prescripts|table|tr|td|enclose)|none"
)
MATHML_ATTRIBUTES = re.compile(
    "display|displaystyle|scriptlevel|stretchy|fence|form|separator|accent|accentunder|movablelimits|largeop"
    "|[lr]space|width|height|depth|minsize|maxsize|linethickness|columnalign|mathvariant"
)


def in_mathematics(command: str) -> Callable[[re.Match[str]], str]:
    """Writes what is raised or lowered as one exponent or index: a second one would stop LaTeX."""

    def written(run: re.Match[str]) -> str:
        plain = unicodedata.normalize("NFKC", run[0]).replace("−", "-")
        return f"${command}{{{plain}}}$"

    return written


LATEX = UnicodeToLatexEncoder(
    conversion_rules=[
        UnicodeToLatexConversionRule(
            RULE_REGEX,
            [
                (re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+"), in_mathematics("^")),
                (re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋ₖₙ]+"), in_mathematics("_")),
            ],
        ),
        UnicodeToLatexConversionRule(
            RULE_DICT,  # where the library has none that fits; a bare bar is a dash in some encodings
            {ord("|"): "$|$", ord("✓"): r"$\surd$", ord("✗"): r"$\times$", ord("√"): r"$\surd$"},
        ),
        "defaults",
    ],
    replacement_latex_protection="braces-after-macro",
    unknown_char_policy="keep",
    unknown_char_warning=False,
)


def latex(text: object) -> str:
    """Text for LaTeX's text mode; Greek, signs and super- or subscripts become mathematics."""
    return str(LATEX.unicode_to_latex(" ".join(str(text).split())))


def markdown(text: object) -> str:
    """Text for a Markdown line or table cell, shown as it stands."""
    flat = " ".join(str(text).split())
    inside = re.sub(r"[\\`*\[\]<>|~$&]|(?<![^\W_])_|_(?![^\W_])", lambda match: "\\" + match[0], flat)
    return re.sub(r"^([-+#=])", r"\\\1", inside)


def markdown_formula(formula: str) -> str:
    """A formula within a line or table cell, where a bare bar would end the cell."""
    bars = formula.replace(r"\|", r"\Vert ").replace("|", r"\vert ")
    return f"$`{' '.join(bars.replace('`', '').split())}`$" if formula.strip() else ""


def mathml(formula: str, display: str = "inline") -> Markup:
    """A LaTeX formula as MathML; where it cannot be read, or would carry anything else, as its own source."""
    from latex2mathml.converter import convert

    try:
        known = re.sub(r"\\arg(?![a-z])", r"\\mathrm{arg}\\,", formula)  # which the converter does not know
        tree = ElementTree.fromstring(convert(known, display=display))
    except Exception:  # the converter raises whatever its parser stumbles over
        return Markup("<code>{}</code>").format(formula)
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2]
        if not MATHML_TAGS.fullmatch(element.tag) or "\\" in (element.text or ""):
            return Markup("<code>{}</code>").format(formula)
        element.attrib = {k: v for k, v in element.attrib.items() if MATHML_ATTRIBUTES.fullmatch(k)}
        if element.tag == "mo" and element.text == "|" and "fence" not in element.attrib:
            element.attrib |= {"lspace": "0", "rspace": "0"}  # a bare bar encloses; it is no relation
    for element in tree.iter():
        join_upright(element)
    return Markup(ElementTree.tostring(tree, encoding="unicode"))


def join_upright(row: ElementTree.Element) -> None:
    """Upright letters in a row are one word: `acc`, not a · c · c; a word is upright by itself."""
    children: list[ElementTree.Element] = []
    for upright, run in groupby(row, key=lambda e: e.tag == "mi" and e.attrib == {"mathvariant": "normal"}):
        first, *others = run
        if upright and others:
            first.text = "".join(letter.text or "" for letter in (first, *others))
            first.attrib, others = {}, []
        children += [first, *others]
    row[:] = children


def code(text: object) -> Markup:
    """A name in code style."""
    return Markup("<code>{}</code>").format(breakable(text))


def ticked(text: object) -> Markup:
    """Text in which names stand between backticks, these in code style."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:  # a backtick by itself is one
        return escape(text)
    return Markup("").join(code(part) if i % 2 else escape(part) for i, part in enumerate(parts))


def unbroken(text: object) -> Markup:
    """A heading that no line breaks within a word: `0-1` and `cross-entropy` stay whole."""
    return Markup(re.sub(r"\b\w{1,12}-\w{1,12}\b", r"<span class=whole>\g<0></span>", str(escape(text))))


def breakable(text: object) -> Markup:
    """A name or path, with places where a long one may go on in the next line."""
    return Markup(re.sub(r"([/_])", r"\1<wbr>", str(escape(text))))
