"""Made-up records of judged checks, for the tests of sentences and of what is said of them."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from crosscheck.claims.judged import CheckRecord, ControlRecord, PartRecord
from crosscheck.claims.sentences import Register, Sentence
from crosscheck.claims.words import Verdict

HOLDS, FAILS, UNDECIDED, INVALID = Verdict.HOLDS, Verdict.FAILS, Verdict.UNDECIDED, Verdict.INVALID
SECTIONS = {"one": "The one section"}


def numbers(estimate: float | None = 0.5, n: int = 16, level: float = 0.999) -> dict[str, Any]:
    interval = (None, None) if estimate is None else (estimate, estimate)
    return {"theory": 0.25, "estimate": estimate, "interval": interval, "level": level, "n": n}


def control(verdict: Verdict = FAILS, estimate: float = 0.9) -> ControlRecord:
    return ControlRecord(statement="one factor changed", verdict=verdict, **numbers(estimate))


def check(
    verdict: Verdict = HOLDS,
    settings: dict[str, Verdict] | None = None,
    estimate: float | None = 0.5,
    level: float = 0.999,
    **fields: Any,
) -> CheckRecord:
    """A judged check; one that is invalid has a control that did not fail."""
    scope = settings or {"": verdict}
    told: dict[str, Any] = {
        **{"id": "made_up", "statement": "it is so", "kind": "equal", "criterion": "", "formula": ""},
        **{"reason": "", "absent": [], "positive": UNSET},
        "control": control(HOLDS if verdict is INVALID else FAILS),
        **fields,
    }
    parts = [
        PartRecord(setting=label, verdict=word, **numbers(estimate, level=level))
        for label, word in scope.items()
    ]
    return CheckRecord(verdict=verdict, scope=scope, parts=parts, **numbers(estimate, level=level), **told)


def register(*sentences: Sentence, **fields: Any) -> Register:
    return Register(sections=SECTIONS, sentences=sentences, **fields)


def sentence(**fields: Any) -> Sentence:
    return Sentence(**{"id": "S01", "section": "one", "text": "It is so.", **fields})
