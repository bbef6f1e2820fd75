"""What a diagnosis finds: one `Finding` a check, and all of them in order of what to mend first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from crosscheck.diagnose._program import Program

Verdict = Literal["✗", "?", "✓", "note"]
Decided = Literal["exact", "statistical", "heuristic"]


@dataclass(frozen=True)
class Finding:
    """What one check says of one output, or of the whole program.

    Attributes:
        check: the name of the check, which `--expect` takes: "labels-in-range".
        verdict: ✗ a fault, ✓ none, ? undecided, or a note: legal, but to be known.
        measured: what was measured, with its number, in one line.
        decided: how: exact, by statistics with an error rate, or a heuristic (never a ✗).
        output: the output that it concerns; "" for the program.
        place: file and line, where they are known.
        interval: of the measured number, for statistical checks.
        why: what follows from it, in one sentence.
        fix: the mended line of code.
        tried: what the fix did when it was tried on a copy; "" where it was not.
        repair: makes the mended program; None where there is no one way to mend it.
    """

    check: str
    verdict: Verdict
    measured: str
    decided: Decided = "exact"
    output: str = ""
    place: str = ""
    interval: tuple[float, float] | None = None
    why: str = ""
    fix: str = ""
    tried: str = ""
    repair: Callable[[Program], Program] | None = field(default=None, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: everything but the repair."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "repair"}


@dataclass(frozen=True)
class Findings:
    """All findings of a diagnosis, in order of what to mend first. `print` it, or ask `.faults`.

    Attributes:
        findings: one a check and output.
        skipped: what was not looked at, in a sentence each, with the reason.
        expected: reasons for checks whose ✗ is known and meant, by name.
        title: what was examined, in a line.
    """

    findings: tuple[Finding, ...]
    skipped: tuple[str, ...] = ()
    expected: Mapping[str, str] = field(default_factory=dict)
    title: str = ""

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def faults(self) -> list[Finding]:
        """The ✗ that are not expected."""
        return [f for f in self.findings if f.verdict == "✗" and f.check not in self.expected]

    @property
    def exit_code(self) -> int:
        """0 nothing wrong, 1 a fault. (2, could not look, is an error that is raised.)"""
        return 1 if self.faults else 0

    def to_json(self) -> str:
        """All findings, and what was skipped, as JSON."""
        record = {
            "title": self.title,
            "findings": [f.to_dict() for f in self.findings],
            "skipped": list(self.skipped),
            "expected": dict(self.expected),
            "exit_code": self.exit_code,
        }
        return json.dumps(record, indent=2, ensure_ascii=False)

    def __str__(self) -> str:
        blocks = [line for finding in self.findings for line in lines_of(finding, self.expected)]
        skipped = [f"  not looked at: {text}" for text in self.skipped]
        return "\n".join([*filter(None, [self.title]), *blocks, *skipped, self.summary])

    @property
    def summary(self) -> str:
        """How many there are of each verdict."""
        counts = Counter(f.verdict for f in self.findings)
        words: dict[Verdict, str] = {"✗": "wrong", "?": "undecided", "note": "to be known", "✓": "in order"}
        told = ", ".join(f"{counts[key]} {word}" for key, word in words.items() if counts[key])
        expected = sum(f.verdict == "✗" and f.check in self.expected for f in self.findings)
        return f"{told or 'nothing was checked'}{f' ({expected} as expected)' if expected else ''}"

    def to_markdown(self) -> str:
        """The findings as Markdown, for a pull request: a list of what is wrong, the rest folded away."""
        wrong = [f for f in self.findings if f.verdict == "✗"]
        rest = [f for f in self.findings if f.verdict != "✗"]
        parts = [f"### {escaped(self.title) or 'Diagnosis'}", *(item_of(f, self.expected) for f in wrong)]
        if rest:
            rows = [f"| {f.verdict} | {escaped(name_of(f))} | {escaped(f.measured)} |" for f in rest]
            table = "\n".join(["| | check | measured |", "| --- | --- | --- |", *rows])
            parts.append(f"<details><summary>{escaped(self.summary)}</summary>\n\n{table}\n\n</details>")
        parts += [f"Not looked at: {escaped(text)}" for text in self.skipped]
        return "\n\n".join(parts) + "\n"


# --- lines ------------------------------------------------------------------------------------------------


def name_of(finding: Finding) -> str:
    return f"{finding.check} of {finding.output}" if finding.output else finding.check


def lines_of(finding: Finding, expected: Mapping[str, str]) -> Iterator[str]:
    """A finding as text: its place, verdict and number, then why, the fix, and what that did."""
    place = f"{finding.place}  " if finding.place and finding.verdict == "✗" else ""
    sign = "•" if finding.verdict == "note" else finding.verdict
    yield f"{sign} {place}{name_of(finding)}: {finding.measured}{how(finding)}"
    told = {"why": finding.why, "fix": finding.fix, "tried": finding.tried}
    if finding.verdict == "✗" and finding.check in expected:
        told["expected"] = expected[finding.check]
    yield from (f"    {head}: {text}" for head, text in told.items() if text and finding.verdict != "✓")


def how(finding: Finding) -> str:
    """How it was decided: `exact`, or the interval; nothing where the line says it."""
    if finding.interval is not None:
        low, high = finding.interval
        return f" [{low:.4g}, {high:.4g}]"
    return " (exact)" if finding.verdict == "✗" and finding.decided == "exact" else ""


def item_of(finding: Finding, expected: Mapping[str, str]) -> str:
    """A ✗ as an item of a Markdown list."""
    place = f"`{finding.place}` " if finding.place else ""
    lines = [f"- ✗ {place}**{escaped(name_of(finding))}**: {escaped(finding.measured)}{how(finding)}"]
    lines += [f"  {escaped(finding.why)}"] if finding.why else []
    lines += [f"  Fix: `{finding.fix.replace('`', chr(39))}`"] if finding.fix else []
    lines += [f"  Tried: {escaped(finding.tried)}"] if finding.tried else []
    lines += [f"  Expected: {escaped(expected[finding.check])}"] if finding.check in expected else []
    return "  \n".join(lines)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, in a table too."""
    for character in "\\`*_<>|#[]":
        text = text.replace(character, f"\\{character}")
    return text.replace("\n", " ")
