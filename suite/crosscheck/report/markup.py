"""Text and formulas for the page: whatever a study or a user's code says is escaped for where it stands."""

from __future__ import annotations

import re
import unicodedata
from xml.etree import ElementTree

from markupsafe import Markup, escape

LATEX = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": "$<$", ">": "$>$", "|": "$|$", "−": "$-$", "–": "--", "—": "---", "…": r"\ldots{}"},
    **{"≤": r"$\le$", "≥": r"$\ge$", "≠": r"$\ne$", "≈": r"$\approx$", "±": r"$\pm$", "×": r"$\times$"},
    **{"·": r"$\cdot$", "∞": r"$\infty$", "→": r"$\to$", "∂": r"$\partial$", "√": r"$\surd$"},
    **{"∈": r"$\in$", "∇": r"$\nabla$", "‖": r"$\Vert$", "✓": r"$\surd$", "✗": r"$\times$"},
    **{"’": "'", "‘": "`", "“": "``", "”": "''", "\u00a0": "~", "\u202f": "\\,"},
}
MATHML_TAGS = re.compile(
    "math|m(row|i|n|o|text|space|frac|sqrt|root|style|error|padded|phantom|sub|sup|subsup|under|over|underover)"
    "|m(multiscripts|prescripts|table|tr|td|enclose)|none"
)
MATHML_ATTRIBUTES = re.compile(
    "display|displaystyle|scriptlevel|stretchy|fence|form|separator|accent|accentunder|movablelimits|largeop"
    "|[lr]space|width|height|depth|minsize|maxsize|linethickness|columnalign|mathvariant"
)


def latex(text: object) -> str:
    """Text for LaTeX's text mode; Greek, signs and super- or subscripts become mathematics."""
    joined = "".join(map(latex_character, " ".join(str(text).split())))
    joined = re.sub(r"\}\$\$[\^_]\{", "", joined)  # a second exponent on the first would stop LaTeX
    return re.sub(r"(?<!\\)\$\$", "", joined)  # two formulas side by side are one


def latex_character(c: str) -> str:
    if c in LATEX or c.isascii():
        return LATEX.get(c, c)
    greek = re.fullmatch(r"GREEK (SMALL|CAPITAL) LETTER (?:FINAL )?(\w+)", unicodedata.name(c, ""))
    if greek:
        return latex_greek(greek[2].lower().replace("lamda", "lambda"), greek[1] == "CAPITAL")
    kind, *parts = unicodedata.decomposition(c).split() or [""]
    plain = "".join(chr(int(part, 16)) for part in parts) if kind.startswith("<") else ""
    plain = plain.replace("−", "-").replace("\u2044", "/")
    marks = {"<super>": f"$^{{{plain}}}$", "<sub>": f"$_{{{plain}}}$", "<fraction>": f"${plain}$"}
    return marks.get(kind, c)


def latex_greek(name: str, capital: bool) -> str:
    """Capitals that look Latin have no command of their own in LaTeX, and the small omicron neither."""
    own = {"gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "upsilon", "phi", "psi", "omega"}
    latin = {"eta": "H", "rho": "P", "chi": "X"}
    if capital:
        return f"$\\{name.title()}$" if name in own else f"${latin.get(name, name[0].upper())}$"
    return "$o$" if name == "omicron" else f"$\\{name}$"


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
        tree = ElementTree.fromstring(convert(formula, display=display))
    except Exception:  # the converter raises whatever its parser stumbles over
        return Markup("<code>{}</code>").format(formula)
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2]
        if not MATHML_TAGS.fullmatch(element.tag) or "\\" in (element.text or ""):
            return Markup("<code>{}</code>").format(formula)
        element.attrib = {k: v for k, v in element.attrib.items() if MATHML_ATTRIBUTES.fullmatch(k)}
        if element.tag == "mo" and element.text == "|" and "fence" not in element.attrib:
            element.attrib |= {"lspace": "0", "rspace": "0"}  # a bare bar encloses; it is no relation
    return Markup(ElementTree.tostring(tree, encoding="unicode"))


def code(text: object) -> Markup:
    """A name in code style."""
    return Markup("<code>{}</code>").format(breakable(text))


def ticked(text: object) -> Markup:
    """Text in which names stand between backticks, these in code style."""
    parts = str(text).split("`")
    if len(parts) % 2 == 0:  # a backtick by itself is one
        return escape(text)
    return Markup("").join(code(part) if i % 2 else escape(part) for i, part in enumerate(parts))


def breakable(text: object) -> Markup:
    """A name or path, with places where a long one may go on in the next line."""
    return Markup(re.sub(r"([/_])", r"\1<wbr>", str(escape(text))))
