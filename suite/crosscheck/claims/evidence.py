"""A sentence's line of evidence, with the numbers of the checks filled in.

A place to fill is `{study/check}`, with the setting in brackets where the check has several, then what of it,
then how to write it: `{softmax_competition/shared_weights[batch of 64]:.0%}`,
`{gaussian_prior/map.control:.0%}`. What there is: `estimate` (understood), `theory`, `control`, and `n`, the
seeds or points. `|abs` drops the sign, `|exp` turns a difference of logarithms into a factor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from crosscheck.claims.judged import CheckRecord, ControlRecord, PartRecord

PLACE = re.compile(
    r"\{(?P<check>\w+/\w+)(?:\[(?P<setting>[^\]]*)\])?(?:\.(?P<what>[a-z]+))?(?::(?P<how>[^}|]*))?(?:\|(?P<turn>abs|exp))?\}"
)


def factor(difference: float) -> float:
    """e to its power; infinite where a float ends."""
    try:
        return math.exp(difference)
    except OverflowError:
        return math.inf


TURNS: dict[str | None, Callable[[float], float]] = {None: lambda value: value, "abs": abs, "exp": factor}
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def line(template: str, checks: Mapping[str, CheckRecord]) -> str:
    """The template filled in; empty where a number in it was not measured here."""
    values = {place[0]: written(place, checks) for place in PLACE.finditer(template)}
    if "" in values.values():
        return ""
    return PLACE.sub(lambda place: values[place[0]], template)


def checks_in(template: str) -> list[str]:
    """The checks that a template names."""
    return [place["check"] for place in PLACE.finditer(template)]


def written(place: re.Match[str], checks: Mapping[str, CheckRecord]) -> str:
    """The number that stands for a place; empty where there is none."""
    check = checks.get(place["check"])
    source = check and source_of(check, place["setting"], place["what"])
    if source is None:
        return ""
    value = getattr(source, {"theory": "theory", "n": "n"}.get(place["what"] or "", "estimate"))
    if value is None:
        return ""
    return number(TURNS[place["turn"]](value), place["how"] or "")


def source_of(
    check: CheckRecord, setting: str | None, what: str | None
) -> CheckRecord | PartRecord | ControlRecord | None:
    """The record that has the number; None where the check was not judged at the setting."""
    if what == "control":
        return check.control
    if setting is None:
        return check if check.n else None
    return next((part for part in check.parts if part.setting == setting and part.n), None)


def number(value: float, how: str) -> str:
    """Written as the report writes numbers: `4.3 × 10⁻⁶`, `−0.5`, `48 %`."""
    text = format(value, how).replace("%", " %")
    mantissa, _, power = text.partition("e")
    if power:
        text = f"{mantissa} × 10{str(int(power)).translate(RAISED)}"
    return text.replace("-", "−")
