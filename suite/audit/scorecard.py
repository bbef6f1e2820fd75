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

from suite.audit import theory, use
from suite.audit.contract import Finding, Subject, asked

CHECKS = (*theory.CHECKS, *use.CHECKS)
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
        return not any(each.verdict == "failed" for each in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON: a number that is not finite is told in words."""
        about = self.subject
        return {
            "loss": about.name,
            "config": about.config,
            "kind": about.kind,
            "from_logits": about.from_logits,
            "theory": about.theory,
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "checks": [plain(each) for each in self.findings],
            "beside": {"loss": self.beside, "checks": [plain(each) for each in self.theirs]},
        }

    def __str__(self) -> str:
        about, count = self.subject, sum(each.verdict == "failed" for each in self.findings)
        given = "logits" if about.from_logits else "probabilities"
        head = f"{named(about)}: {about.kind}, of {given}, on {keras.backend.backend()}"
        lines = [head, f"{count} of {len(self.findings)} checks failed"]
        theirs = {each.check: SIGNS[each.verdict] for each in self.theirs}
        if self.beside:
            lines.append(f"{'':20}{'this loss':12}{self.beside}")
        for each in self.findings:
            lines.append(f"{each.check:20}{SIGNS[each.verdict]:12}{theirs.get(each.check, '')}".rstrip())
            lines += [f"{'':4}{line}" for line in details(each)]
        return "\n".join(lines)


def named(subject: Subject) -> str:
    given = ", ".join(f"{name}={value!r}" for name, value in subject.config.items())
    return f"{subject.name}({given})" if subject.is_class else subject.name


def details(found: Finding) -> list[str]:
    """Where a check failed, what it saw and why; of the others what was looked at."""
    if found.verdict != "failed":
        told = "" if str(found.measured) in f"{found.note} None" else f": {found.measured}"
        return [f"{found.note}{told}"] if found.note else []
    seen = f"measured {found.measured}" + ("" if found.expected is None else f", expected {found.expected}")
    cause = [f"cause: {found.cause}"] if found.cause else []
    remedy = [f"remedy: {found.remedy}"] if found.remedy else []
    return [f"at {found.at}", seen, *cause, *remedy]


def plain(found: Finding) -> dict[str, Any]:
    told = dataclasses.asdict(found)
    for key, value in told.items():
        if isinstance(value, float) and not math.isfinite(value):
            told[key] = str(value)
    return told


def examined(subject: Subject) -> tuple[Finding, ...]:
    """The findings of all checks; what the loss prints is kept off the terminal."""
    with contextlib.redirect_stdout(io.StringIO()):
        return tuple(asked(CHECKS, subject))


def scorecard(subject: Subject, beside: bool = True) -> Scorecard:
    """All checks on a loss and, beside it, on the nearest one of Keras'."""
    if not beside:
        return Scorecard(subject, examined(subject))
    nearest = use.nearest(subject)
    nearest = dataclasses.replace(nearest, theory=theory.recognised(nearest))
    return Scorecard(subject, examined(subject), named(nearest), examined(nearest))


def to_json(cards: Iterable[Scorecard]) -> str:
    return json.dumps([each.to_dict() for each in cards], indent=1, ensure_ascii=False, default=str) + "\n"


def to_markdown(cards: Iterable[Scorecard]) -> str:
    """Losses by checks; the failures below, each with its smallest input."""
    cards = tuple(cards)
    rows = [f"| {' | '.join([named(each.subject), *cells(each)])} |" for each in cards]
    head = ["Loss", *(check.id for check in CHECKS)]
    table = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head), *rows]
    checks = [f"- **{each.id}**: {each.statement}" for each in CHECKS]
    told = [
        f"- `{named(card.subject)}`, {each.check}: {'; '.join(details(each))}"
        for card in cards
        for each in card.findings
        if each.verdict == "failed"
    ]
    title = f"# The losses of Keras {keras.__version__} on {keras.backend.backend()}, check by check"
    parts = (title, "\n".join(table), "\n".join(checks), "## What failed", "\n".join(told))
    return "\n\n".join(parts) + "\n"


def cells(card: Scorecard) -> list[str]:
    return [{"passed": "✓", "failed": "**✗**", "not applicable": "–"}[each.verdict] for each in card.findings]
