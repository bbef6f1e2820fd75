"""The scorecards of many losses as Markdown: a summary, a table for each use, and what failed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import keras

from crosscheck.audit.contract import USES, Finding, Use
from crosscheck.audit.scorecard import CHECKS, Scorecard, details, named

MARKS = {"passed": "✓", "failed": "**✗**", "not applicable": "–"}


def to_markdown(cards: Iterable[Scorecard]) -> str:
    """Losses by checks, valid use apart from misuse; the failures below, each with its smallest input."""
    cards = tuple(cards)
    title = f"# The losses of Keras {keras.__version__} on {keras.backend.backend()}, check by check"
    parts = [title, summary(cards)]
    for name, meaning in USES.items():
        parts += [f"## {name.capitalize()}", f"{meaning.capitalize()}.", table(cards, name), statements(name)]
    parts += ["## What failed", *(section(card) for card in cards if not card.sound)]
    return "\n\n".join(parts) + "\n"


def short(card: Scorecard) -> str:
    return f"`{named(card.subject).removeprefix('keras.losses:')}`, {card.subject.kind}"


def summary(cards: Sequence[Scorecard]) -> str:
    """How many checks failed, of those that apply."""
    rows = []
    for card in cards:
        counts = [tally(card, name) for name in USES]
        rows.append(f"| {' | '.join([short(card), card.subject.theory or '–', *counts])} |")
    return "\n".join([f"| Loss | Theory | {' | '.join(USES)} |", "|" + " --- |" * (2 + len(USES)), *rows])


def tally(card: Scorecard, use: Use) -> str:
    ids = {each.id for each in CHECKS if each.use == use}
    asked = sum(each.check in ids and each.verdict != "not applicable" for each in card.findings)
    bad = len(card.failures(use))
    return f"**{bad}** of {asked} failed" if bad else f"{asked} passed"


def table(cards: Sequence[Scorecard], use: Use) -> str:
    ids = [each.id for each in CHECKS if each.use == use]
    rows = [f"| {' | '.join([short(card), *cells(card.findings, ids)])} |" for card in cards]
    return "\n".join([f"| Loss | {' | '.join(ids)} |", "|" + " --- |" * (1 + len(ids)), *rows])


def cells(findings: Iterable[Finding], ids: list[str]) -> list[str]:
    marks = {each.check: MARKS[each.verdict] for each in findings}
    return [marks[name] for name in ids]


def statements(use: Use) -> str:
    return "\n".join(f"- **{each.id}**: {each.statement}" for each in CHECKS if each.use == use)


def section(card: Scorecard) -> str:
    told = [f"- {each.check}: {'; '.join(details(each))}" for each in card.failures()]
    return "\n".join([f"### {short(card)}", "", *told])
