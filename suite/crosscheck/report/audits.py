"""What the loss audit has left in results/audit, for the report: scorecards, and the defects it wrote up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from crosscheck.claims.claim import BACKEND_NAMES
from crosscheck.report.records import decode

SYMBOLS = {"passed": "✓", "failed": "✗", "described": "!", "not applicable": "–", "could not look": "?"}
Number = float | int | str | None


class Finding(Struct, frozen=True):
    """What one check said of a loss, as `crosscheck audit` writes it."""

    check: str
    verdict: Literal["passed", "failed", "described", "not applicable", "could not look"]
    at: str = ""
    cause: str = ""
    remedy: str = ""
    measured: Number = None
    expected: Number = None


class Failures(Struct, frozen=True):
    """How many checks of valid use failed."""

    valid: int


class Scorecard(Struct, frozen=True):
    """One loss in one configuration, on one backend."""

    loss: str
    config: dict[str, Any]
    kind: str
    backend: str
    keras: str
    checks: list[Finding]
    failed: Failures

    @property
    def name(self) -> str:
        return self.loss.rpartition(":")[2]

    @property
    def arguments(self) -> str:
        return ", ".join(f"{key}={value!r}" for key, value in self.config.items())

    @property
    def symbols(self) -> dict[str, str]:
        """Of every check that was made."""
        return {finding.check: SYMBOLS[finding.verdict] for finding in self.checks}

    @property
    def failures(self) -> list[Finding]:
        return [finding for finding in self.checks if finding.verdict == "failed"]


@dataclass(frozen=True)
class Defect:
    """A defect of Keras, written up in a Markdown file whose first line is the title."""

    file: str
    title: str
    text: str


@dataclass(frozen=True)
class Audit:
    """Scorecards, all of one backend and one Keras, and the defects they led to."""

    scorecards: list[Scorecard]
    defects: list[Defect]

    @property
    def keras(self) -> str:
        return self.scorecards[0].keras

    @property
    def backend(self) -> str:
        backend = self.scorecards[0].backend
        return BACKEND_NAMES.get(backend, backend)

    @property
    def checks(self) -> list[str]:
        """Of all scorecards, in the order in which they occur."""
        return list(dict.fromkeys(finding.check for card in self.scorecards for finding in card.checks))

    @property
    def sound(self) -> int:
        """How many configurations pass every check of valid use."""
        return sum(card.failed.valid == 0 for card in self.scorecards)


def read(folder: Path) -> Audit | None:
    """Scorecards and defects under the results folder; None where no audit has been run.

    Raises:
        UsageError: where audit.json is broken or not ours.
    """
    file = folder / "audit" / "audit.json"
    if not file.exists():
        return None
    shape = Annotated[list[Scorecard], Meta(min_length=1)]
    scorecards = decode(file, shape, "an audit", "crosscheck audit")
    return Audit(scorecards, list(read_defects(file.parent / "defects")))


def read_defects(folder: Path) -> Iterator[Defect]:
    for file in sorted(folder.glob("*.md")):
        title, _, text = file.read_text(encoding="utf-8", errors="replace").partition("\n")
        yield Defect(file.name, title.removeprefix("# ").strip(), text.strip())
