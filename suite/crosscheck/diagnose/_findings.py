"""What a diagnosis finds: one `Finding` a check, and all of them in order of what to mend first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
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
    """All findings of a diagnosis, in order of what to mend first.

    Attributes:
        findings: one a check and output.
        skipped: what was not looked at, in a sentence each, with the reason.
        expected: reasons for checks whose ✗ is known and meant, by name.
    """

    findings: tuple[Finding, ...]
    skipped: tuple[str, ...] = ()
    expected: dict[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

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
            "findings": [f.to_dict() for f in self.findings],
            "skipped": list(self.skipped),
            "expected": self.expected,
            "exit_code": self.exit_code,
        }
        return json.dumps(record, indent=2, ensure_ascii=False)
