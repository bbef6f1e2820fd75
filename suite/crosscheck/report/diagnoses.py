"""How often the diagnosis is wrong, as results/diagnose/rates.json has it, for the report."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from crosscheck.claims.claim import BACKEND_NAMES
from crosscheck.report.records import decode

OUTCOMES = {
    "named": "named rightly",
    "otherwise": "named otherwise",
    "undecided": "undecided",
    "noted": "noted",
    "missed": "missed",
    "refused": "could not look",
    "crashed": "crashed",
}


class Rate(Struct, frozen=True):
    """A share with its exact interval; `rate` is None of nothing."""

    count: int
    of: int
    rate: float | None
    interval: tuple[float, float]

    @property
    def words(self) -> str:
        low, high = self.interval
        return f"{self.count} of {self.of}" + (f", {low:.1%} to {high:.1%}" if self.of else "")


class Healthy(Struct, frozen=True):
    """What was said of programs that learn."""

    drawn: int
    not_learning: int
    kept: int
    false_alarms: Rate
    by_check: dict[str, Rate]
    undecided: Rate


class Fault(Struct, frozen=True):
    """One fault: into how many programs it was seeded, and what was said of them."""

    fault: str
    row: str
    decided: str
    of: int
    harmless: int
    named: int
    otherwise: int
    undecided: int
    noted: int
    missed: int
    refused: int
    crashed: int

    @property
    def counts(self) -> list[int]:
        """In the order of `OUTCOMES`."""
        return [int(getattr(self, outcome)) for outcome in OUTCOMES]


class Quoted(Struct, frozen=True):
    """A published figure."""

    recall: float
    precision: float
    of: str
    tool: str = ""


class Published(Struct, frozen=True):
    """What others publish, and how their protocol differs."""

    study: str
    link: str
    tools: str
    best: Quoted
    single_truth: Quoted
    false_alarms: str
    differences: list[str]


class Rates(Struct, frozen=True):
    """The content of rates.json that the report shows."""

    keras: str
    backend: str
    seed: int
    exact_checks_alone: bool
    healthy: Healthy
    exact: dict[str, Rate]
    statistical: dict[str, Rate]
    faults: list[Fault]
    published: Published

    @property
    def backend_name(self) -> str:
        return BACKEND_NAMES.get(self.backend, self.backend)

    @property
    def outcomes(self) -> dict[str, str]:
        return OUTCOMES

    @property
    def shown(self) -> list[Fault]:
        """The faults of which there were any."""
        return [fault for fault in self.faults if fault.of]


def read(folder: Path) -> Rates | None:
    """The rates under the results folder; None where they have not been measured.

    Raises:
        UsageError: where rates.json is broken or not ours.
    """
    file = folder / "diagnose" / "rates.json"
    return decode(file, Rates, "the diagnosis' rates", "make diagnose-rates") if file.exists() else None
