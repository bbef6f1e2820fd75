"""All checks on a loss, beside the nearest loss of Keras, as text and as data."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
from collections.abc import Iterable
from typing import Any

import keras

from crosscheck.audit.checks import theory, use
from crosscheck.audit.contract import USES, Check, Finding, Subject, Use, asked
from crosscheck.audit.recognition import recognised

CHECKS: tuple[Check, ...] = (*theory.CHECKS, *use.CHECKS)
USE_OF: dict[str, Use] = {each.id: each.use for each in CHECKS}
SIGNS = {"passed": "passed", "failed": "FAILED", "not applicable": "–"}


@dataclasses.dataclass(frozen=True)
class Scorecard:
    """What the checks found about a loss, and about the nearest one that Keras ships.

    Attributes:
        beside: that loss's name, "" where the subject is itself one of Keras'; `theirs`: its findings.
    """

    subject: Subject
    findings: tuple[Finding, ...]
    beside: str = ""
    theirs: tuple[Finding, ...] = ()

    @property
    def sound(self) -> bool:
        return not self.failures()

    def failures(self, of: Use | None = None) -> list[Finding]:
        """What failed: of all checks, or of those on valid use, other arguments or misuse."""
        return [e for e in self.findings if e.verdict == "failed" and of in (None, USE_OF[e.check])]

    def to_dict(self, brief: bool = False) -> dict[str, Any]:
        """Ready for JSON: a number that is not finite is told in words; `brief`: but for what passed said."""
        about = self.subject
        beside = {"loss": self.beside, "checks": [plain(each, brief) for each in self.theirs]}
        return {
            "loss": about.name,
            "config": about.config,
            "kind": about.kind,
            "from_logits": about.from_logits,
            "theory": about.theory,
            "parameters": about.parameters,
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "failed": {name: len(self.failures(name)) for name in USES},
            "checks": [plain(each, brief) for each in self.findings],
            **({"beside": beside} if self.beside else {}),
        }

    def __str__(self) -> str:
        about = self.subject
        given = "logits" if about.from_logits else "probabilities"
        claim = f"held against {about.theory}" if about.theory else "of no theory that is known here"
        lines = [
            f"{named(about)}: {about.kind}, of {given}, {claim}, on {keras.backend.backend()}",
            f"{len(self.failures())} of {len(self.findings)} checks failed",
        ]
        for name, meaning in USES.items():
            lines += ["", f"{name}: {meaning}", *self.lines(name)]
        return "\n".join(lines)

    def lines(self, of: Use) -> list[str]:
        theirs = {each.check: SIGNS[each.verdict] for each in self.theirs}
        told = [f"{'':20}{'this loss':12}{self.beside}"] if self.beside else []
        for each in self.findings:
            if USE_OF[each.check] == of:
                told.append(f"{each.check:20}{SIGNS[each.verdict]:12}{theirs.get(each.check, '')}".rstrip())
                told += [f"{'':4}{line}" for line in details(each)]
        return told


def named(subject: Subject) -> str:
    given = ", ".join(f"{name}={value!r}" for name, value in subject.config.items())
    return f"{subject.name}({given})" if subject.is_class else subject.name


def details(found: Finding) -> list[str]:
    """Where a check failed, what it saw and why; of the others what was looked at."""
    if found.verdict != "failed":
        told = "" if str(found.measured) in f"{found.note} None" else f": {figure(found.measured)}"
        return [f"{found.note}{told}"] if found.note else []
    expected = "" if found.expected is None else f", expected {figure(found.expected)}"
    what = [f"what: {found.note}"] if found.note else []
    cause = [f"cause: {found.cause}"] if found.cause else []
    remedy = [f"remedy: {found.remedy}"] if found.remedy else []
    return [f"at {found.at}", f"measured {figure(found.measured)}{expected}", *what, *cause, *remedy]


def figure(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def plain(found: Finding, brief: bool = False) -> dict[str, Any]:
    told = {
        "check": found.check,
        "use": USE_OF[found.check],
        **{key: finite(value) for key, value in dataclasses.asdict(found).items() if key != "check"},
    }
    if not brief:
        return told
    silent = {"use", "note"} if found.verdict == "passed" else {"use"}
    return {key: value for key, value in told.items() if value not in ("", None) and key not in silent}


def finite(value: Any) -> Any:
    """JSON knows neither NaN nor infinity; seven digits are what float32 has."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.7g}") if math.isfinite(value) else str(value)


def examined(subject: Subject) -> tuple[Finding, ...]:
    """The findings of all checks; what the loss prints is kept off the terminal."""
    with contextlib.redirect_stdout(io.StringIO()):
        return tuple(asked(CHECKS, subject))


def scorecard(subject: Subject, beside: bool = True) -> Scorecard:
    """All checks on a loss and, beside it, on the nearest one of Keras'."""
    found = examined(subject)
    if not beside:
        return Scorecard(subject, found)
    nearest = recognised(use.nearest(subject))
    return Scorecard(subject, found, named(nearest), examined(nearest))


def to_json(cards: Iterable[Scorecard]) -> str:
    return json.dumps([each.to_dict() for each in cards], indent=1, ensure_ascii=False, default=str) + "\n"


def to_brief_json(cards: Iterable[Scorecard]) -> str:
    """A line a finding: of all losses together it stays readable, and small."""
    return "[\n" + ",\n".join(brief(each) for each in cards) + "\n]\n"


def brief(card: Scorecard) -> str:
    told = card.to_dict(brief=True)
    checks = ",\n  ".join(json.dumps(each, ensure_ascii=False, default=str) for each in told.pop("checks"))
    head = json.dumps(told, ensure_ascii=False, default=str)
    return f'{head[:-1]}, "checks": [\n  {checks}]}}'
