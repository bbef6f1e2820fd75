"""Numbers for the eye, and tables for a spreadsheet (csv), a code host (md) and a paper (tex)."""

from __future__ import annotations

import io
import math
import numbers
from pathlib import Path
from typing import Any

import pandas as pd
from msgspec import UNSET

from crosscheck._files import write_atomically
from crosscheck.errors import UsageError
from crosscheck.report.markup import latex, markdown

NOTHING = "—"
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: Any, digits: int = 4) -> str:
    """A number to `digits` significant digits, powers of ten where it is very large or very small."""
    if value is None or value is pd.NA or value is UNSET or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    power = exponent(value)
    if isinstance(value, numbers.Integral) and power < 7:
        return signed(str(value))
    if -4 <= power < 6:
        return signed(trimmed(f"{value:.{max(0, digits - 1 - power)}f}"))
    mantissa, _, rounded = f"{value:.{digits - 1}e}".partition("e")
    return signed(trimmed(mantissa)) + ten_to(int(rounded))


def interval(value: Any, lo: Any, hi: Any) -> str:
    """`0.123 [0.120, 0.126]`: as many decimals as the interval's width bears. None stands for no bound.

    The half-width keeps one digit, two where it begins with 1 or 2: rounding then moves no end by more
    than a sixth of it.
    """
    if value is None or value is pd.NA or math.isnan(value):
        return NOTHING
    if lo is None and hi is None:
        return f"{number(value)} (no interval)"
    if lo == hi == value:
        return number(value)
    ends = [end for end in (value, lo, hi) if end is not None and math.isfinite(end)]
    largest = max(map(exponent, ends))
    scale = 0 if -4 <= largest < 6 else largest
    width = max(abs(end - value) for end in ends) / 10**scale
    places = max(0, min(12, decimals(width)))
    shown = [fixed(end, scale, places, empty) for end, empty in ((value, ""), (lo, "−∞"), (hi, "∞"))]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]{ten_to(scale) if scale else ''}"


def percent(share: float) -> str:
    """A share as a percentage, with the digits that tell it from 100 %."""
    rest = 1 - share
    places = 0 if rest <= 0 else max(0, -exponent(rest) - 1 if rest < 0.1 else 0)
    return f"{trimmed(f'{100 * share:.{places}f}')} %"


def exponent(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def decimals(width: float) -> int:
    lead = width / 10 ** exponent(width) if width else 1.0
    return -exponent(width) + (1 if lead < 3 else 0) if width else 3


def fixed(end: Any, scale: int, places: int, empty: str) -> str:
    if end is None or not math.isfinite(end):
        return empty
    return signed(f"{end / 10**scale:.{places}f}")


def trimmed(digits: str) -> str:
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def signed(digits: str) -> str:
    return digits.removeprefix("-") if not digits.strip("-0.") else digits.replace("-", "−")


def ten_to(power: int) -> str:
    return f" × 10{str(power).translate(SUPERSCRIPT)}"


def cell(value: Any) -> str:
    """What a table shows for a value."""
    if value is None or value is pd.NA or value is pd.NaT:
        return NOTHING
    if isinstance(value, bool) or type(value).__name__ == "bool":  # NumPy's own is no `bool`
        return "yes" if value else "no"
    return number(value) if isinstance(value, numbers.Real) else str(value)


def flat(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its index, where that says something, as columns, and headings of one line."""
    framed = table if isinstance(table.index, pd.RangeIndex) else table.reset_index()
    heads = [" ".join(map(str, c)).strip() if isinstance(c, tuple) else str(c) for c in framed.columns]
    return framed.set_axis(heads, axis="columns")


def is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def to_csv(table: pd.DataFrame) -> str:
    """All digits: this one is for computing on."""
    return flat(table).to_csv(index=False, lineterminator="\n")


def to_markdown(table: pd.DataFrame) -> str:
    flattened = flat(table)
    rules = ["---:" if is_numeric(flattened.iloc[:, i]) else "---" for i in range(flattened.shape[1])]
    body = [[markdown(cell(v)) for v in row] for row in flattened.itertuples(index=False, name=None)]
    lines = [[markdown(head) for head in flattened.columns], rules, *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def to_latex(table: pd.DataFrame) -> str:
    """A tabular to `\\input`; the document loads booktabs."""
    flattened = flat(table)
    columns = "".join("r" if is_numeric(flattened.iloc[:, i]) else "l" for i in range(flattened.shape[1]))
    body = [[latex(cell(v)) for v in row] for row in flattened.itertuples(index=False, name=None)]
    head, lines = latex_line([latex(name) for name in flattened.columns]), map(latex_line, body)
    return (
        "% needs \\usepackage{booktabs}\n"
        f"\\begin{{tabular}}{{{columns}}}\n\\toprule\n{head}"
        f"\\midrule\n{''.join(lines)}\\bottomrule\n\\end{{tabular}}\n"
    )


def latex_line(cells: list[str]) -> str:
    """One row; a first cell that begins with `[` would be taken for an option of the row before."""
    guarded = [f"{{{c}}}" if c.startswith(("[", "*")) else c for c in cells]
    return " & ".join(guarded) + r" \\" + "\n"


def save(table: pd.DataFrame, folder: Path) -> None:
    """Write table.csv, table.md and table.tex."""
    write_atomically(folder / "table.csv", to_csv(table))
    write_atomically(folder / "table.md", to_markdown(table))
    write_atomically(folder / "table.tex", to_latex(table))


def read(path: Path) -> pd.DataFrame:
    """A table.csv as saved; only an empty cell is a missing one (`none` is a word).

    Raises:
        UsageError: for a file that is no table.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=[""])
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is not a table written by crosscheck: {error}") from error
