"""Does a fresh run still say what the reference says? Verdict by verdict, estimate by estimate.

Two estimates agree when they differ by no more than the half-widths h of their intervals together allow:
|e₁ − e₂| ≤ √(h₁² + h₂²). Runs that share their seeds share what is drawn from them, so that this is generous.

Where nothing is random there is no interval, and the estimates have to be equal to rounding. The deviation of
an identity is counted in units in the last place: two deviations within the criterion's 4 units are rounding,
and which of them came out is the doing of a compiler. Any other number may differ by `ROUNDING` of itself, or
of the criterion's margin where it is smaller than that: float32 rounds at 6e−8, and a sum of a thousand such
numbers, in another order, moves by no more than a thousand times that.

Everything here reads verdicts and trains nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

Verdicts = Mapping[str, Mapping[str, Any]]  # study → the content of its verdict.json

ROUNDING = 1e-4
IN_UNITS = "units in the last place"  # how the criterion of an identity ends

NOTHING: dict[str, Any] = {"verdict": "—", "estimate": None, "interval": [None, None]}


@dataclass(frozen=True)
class Line:
    """One compared number or verdict.

    Attributes:
        id: `study/check`, and the setting where the check has several.
        reference, now: the two estimates; None where there is none.
        moved: their distance in joint standard errors; None where nothing is random.
        verdicts: then and now.
        drift: why this counts as moved; empty where it does not.
    """

    id: str
    reference: float | None
    now: float | None
    moved: float | None
    verdicts: tuple[str, str]
    drift: str


def compare(reference: Verdicts, now: Verdicts) -> list[Line]:
    """Every check of both sides, in the order of the reference."""
    names = dict.fromkeys(chain(reference, now))
    return [line for name in names for line in compare_study(name, reference.get(name), now.get(name))]


def compare_study(
    name: str, reference: Mapping[str, Any] | None, now: Mapping[str, Any] | None
) -> Iterator[Line]:
    then, current = checks_of(reference), checks_of(now)
    for check in dict.fromkeys(chain(then, current)):
        yield from compare_check(f"{name}/{check}", then.get(check), current.get(check))


def checks_of(study: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    return {check["id"]: check for check in study["checks"]} if study else {}


def compare_check(id: str, then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> Iterator[Line]:
    """A check's settings one by one, then its own verdict where only that has moved: the control's doing."""
    if then is None or now is None:
        yield one_sided(id, then, now)
        return
    lines = list(compare_parts(id, then, now))
    yield from lines
    if any(line.drift for line in lines):
        return
    if comparable(then, now) and then["verdict"] != now["verdict"]:
        yield line_of(id, then, now, "verdict")


def compare_parts(id: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Line]:
    """The settings that both sides could judge; one whose data set or backend either lacks is passed over."""
    absent = {*then.get("absent", ()), *now.get("absent", ())}
    old, new = parts_of(then), parts_of(now)
    for label in dict.fromkeys(chain(old, new)):
        if setting_of(label) in absent:
            continue
        told = f"{id} [{label}]" if label else id
        if label in old and label in new:
            yield line_of(told, old[label], new[label], drift(old[label], new[label], criterion_of(then)))
        else:
            yield one_sided(told, old.get(label), new.get(label))


def parts_of(check: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {part["setting"]: part for part in check.get("parts", ())}


def setting_of(label: str) -> str:
    """A part is labelled `setting · path`."""
    return label.split(" · ")[0]


def comparable(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether both verdicts were reached over the same settings; an invalid one is never explained away."""
    return set(then.get("absent", ())) == set(now.get("absent", ())) or now["verdict"] == "invalid"


def one_sided(id: str, then: Mapping[str, Any] | None, now: Mapping[str, Any] | None) -> Line:
    return line_of(id, then or NOTHING, now or NOTHING, "missing now" if now is None else "new")


def line_of(id: str, then: Mapping[str, Any], now: Mapping[str, Any], why: str) -> Line:
    estimates = then["estimate"], now["estimate"]
    return Line(id, *estimates, joint_errors(then, now), (then["verdict"], now["verdict"]), why)


def criterion_of(check: Mapping[str, Any]) -> str:
    return check.get("criterion", "")


def drift(then: Mapping[str, Any], now: Mapping[str, Any], criterion: str = "") -> str:
    """Why two parts do not agree; empty where they do."""
    if then["verdict"] != now["verdict"]:
        return "verdict"
    if (then["estimate"] is None) != (now["estimate"] is None):
        return "no longer a number" if now["estimate"] is None else "a number only now"
    if then["estimate"] is None:
        return ""
    exact = then["level"] == now["level"] == 1
    reach = rounding(then, now, criterion) if exact else math.hypot(half_width(then), half_width(now))
    if abs(now["estimate"] - then["estimate"]) <= reach:
        return ""
    return "beyond rounding" if exact else "estimate"


def rounding(then: Mapping[str, Any], now: Mapping[str, Any], criterion: str) -> float:
    """How far two estimates in which nothing is random may differ."""
    margin = next((float(found) for found in re.findall(r"\d[\d.]*(?:e[-+]?\d+)?", criterion)), 0.0)
    units = margin if criterion.endswith(IN_UNITS) else 0.0
    return max(units, ROUNDING * max(abs(then["estimate"]), abs(now["estimate"]), margin))


def half_width(part: Mapping[str, Any]) -> float:
    """Half the interval; infinite where it has no end (JSON's null)."""
    lo, hi = part["interval"]
    return math.inf if lo is None or hi is None else (hi - lo) / 2


def joint_errors(then: Mapping[str, Any], now: Mapping[str, Any]) -> float | None:
    """(now − then) / √(SE₁² + SE₂²), each standard error from the spread between its seeds."""
    errors = standard_error(then), standard_error(now)
    if None in (*errors, then["estimate"], now["estimate"]) or not any(errors):
        return None
    return (now["estimate"] - then["estimate"]) / math.hypot(*errors)  # type: ignore[arg-type]


def standard_error(part: Mapping[str, Any]) -> float | None:
    sd, n = part.get("seed_sd"), part.get("n")
    return sd / math.sqrt(n) if sd is not None and n else None


def left_out(reference: Verdicts, now: Verdicts) -> list[str]:
    """Data sets and backends that one of the two runs lacked: named, and not counted as drift."""
    checks = (check for study in chain(reference.values(), now.values()) for check in study["checks"])
    return sorted({name for check in checks for name in check.get("absent", ())})


def changes(reference: Verdicts, now: Verdicts) -> list[str]:
    """What differs between the circumstances of the two runs: versions, backend, device, data."""
    then, current = circumstances(reference), circumstances(now)
    return [
        f"{key} {then.get(key, '—')} → {current.get(key, '—')}"
        for key in dict.fromkeys(chain(then, current))
        if then.get(key) != current.get(key)
    ]


def circumstances(verdicts: Verdicts) -> dict[str, str]:
    """Versions, data, backend and device over all studies, flattened to text."""
    found: dict[str, set[str]] = {}
    for study in verdicts.values():
        told = study["provenance"]
        single = {key: told[key] for key in ("backend", "device") if key in told}
        for key, value in {**told.get("versions", {}), **told.get("data", {}), **single}.items():
            found.setdefault(key, set()).add(str(value))
    return {key: ", ".join(sorted(values)) for key, values in found.items()}
