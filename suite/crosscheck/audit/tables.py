"""The scorecards of many losses as Markdown: a summary, a table for each use, and what failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import keras

from crosscheck.audit.contract import USES, Finding, Use
from crosscheck.audit.scorecard import CHECKS, TOLD_BESIDE, Scorecard, detail_lines, title_of

MARKS = {
    "passed": "✓",
    "failed": "**✗**",
    "described": "(!)",
    "not applicable": "–",
    "could not look": "?",
    "expected": "(✗)",
}


def to_markdown(cards: Iterable[Scorecard]) -> str:
    """Losses by checks, valid use apart from misuse; the failures below, each with its smallest input."""
    cards = tuple(cards)
    title = f"# The losses of Keras {keras.__version__} on {keras.backend.backend()}, check by check"
    parts = [title, summary(cards)]
    for name, meaning in USES.items():
        parts += [f"## {name.capitalize()}", f"{meaning.capitalize()}.", table(cards, name), statements(name)]
    parts += ["## What failed", *(section(card) for card in cards if not card.sound)]
    return "\n\n".join(parts) + "\n"


def loss_label(card: Scorecard) -> str:
    return f"`{title_of(card.subject).removeprefix('keras.losses:')}`, {card.subject.kind}"


def summary(cards: Sequence[Scorecard]) -> str:
    """How many checks failed, of those that apply."""
    rows = []
    for card in cards:
        counts = [tally(card, name) for name in USES]
        rows.append(f"| {' | '.join([loss_label(card), card.subject.theory or '–', *counts])} |")
    return "\n".join([f"| Loss | Theory | {' | '.join(USES)} |", "|" + " --- |" * (2 + len(USES)), *rows])


def tally(card: Scorecard, use: Use) -> str:
    ids = {check.id for check in CHECKS if check.use == use}
    verdicts = [finding.verdict for finding in card.findings if finding.check in ids]
    applicable = len(verdicts) - verdicts.count("not applicable")
    failed = len(card.failures(use))
    if failed:
        return f"**{failed}** of {applicable} failed"
    passed = f"{verdicts.count('passed')} passed"
    others = [f"{verdicts.count(verdict)} {verdict}" for verdict in TOLD_BESIDE if verdict in verdicts]
    return ", ".join([passed, *others])


def table(cards: Sequence[Scorecard], use: Use) -> str:
    ids = [check.id for check in CHECKS if check.use == use]
    rows = [f"| {' | '.join([loss_label(card), *cells(card.findings, ids)])} |" for card in cards]
    return "\n".join([f"| Loss | {' | '.join(ids)} |", "|" + " --- |" * (1 + len(ids)), *rows])


def cells(findings: Iterable[Finding], ids: list[str]) -> list[str]:
    marks = {finding.check: MARKS[finding.verdict] for finding in findings}
    return [marks.get(name, MARKS["could not look"]) for name in ids]


def statements(use: Use) -> str:
    return "\n".join(f"- **{check.id}**: {check.statement}" for check in CHECKS if check.use == use)


def section(card: Scorecard) -> str:
    lines = [f"- {finding.check}: {'; '.join(detail_lines(finding))}" for finding in card.failures()]
    return "\n".join([f"### {loss_label(card)}", "", *lines])
