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
    def outcomes_in_training(self) -> str:
        """What was said of the faults that show in training, in words, one kind after the other."""
        return ", ".join(f"{self.statistical[name].count} {words}" for name, words in OUTCOMES.items())

    @property
    def shown(self) -> list[Fault]:
        """The faults of which there were any."""
        return [fault for fault in self.faults if fault.of]


class Version(Struct, frozen=True):
    """Scripts of one version: how many were diagnosed, and in how many something is wrong."""

    ran: int
    with_fault: int


class Collection(Struct, frozen=True):
    """What was said of a published collection of programs.

    Attributes:
        fixed_read: how many of the ✗ on repaired versions were read as "true", "false alarm", "not read".
    """

    name: str
    repository: str
    scripts: int
    ran: int
    buggy: Version
    fixed: Version
    fixed_read: dict[str, int]

    @property
    def words(self) -> str:
        """In a sentence."""
        read = ", ".join(f"{word} {count}" for word, count in self.fixed_read.items())
        return (
            f"{self.scripts} scripts, {self.ran} came to their fit: "
            f"something is wrong in {self.buggy.with_fault} of {self.buggy.ran} buggy ones, and in "
            f"{self.fixed.with_fault} of {self.fixed.ran} repaired ones"
            + (f" (by reading these: {read})" if read else "")
        )


class Collections(Struct, frozen=True):
    """The content of collections.json that the report shows."""

    keras: str
    backend: str
    exact_checks_alone: bool
    collections: list[Collection]

    @property
    def backend_name(self) -> str:
        return BACKEND_NAMES.get(self.backend, self.backend)


def read_collections(folder: Path) -> Collections | None:
    """What was said of the collections, under the results folder; None where they have not been looked at.

    Raises:
        UsageError: where collections.json is broken or not ours.
    """
    file, command = folder / "diagnose" / "collections.json", "python -m benchmarks.diagnose_rates.collected"
    return decode(file, Collections, "what was said of the collections", command) if file.exists() else None


def read(folder: Path) -> Rates | None:
    """The rates under the results folder; None where they have not been measured.

    Raises:
        UsageError: where rates.json is broken or not ours.
    """
    return read_rates(folder / "diagnose" / "rates.json")


def read_trained(folder: Path) -> Rates | None:
    """The same of the checks that train, which are measured apart."""
    return read_rates(folder / "diagnose" / "trained" / "rates.json")


def read_rates(file: Path) -> Rates | None:
    return decode(file, Rates, "the diagnosis' rates", "make diagnose-rates") if file.exists() else None
