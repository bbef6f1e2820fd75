"""The contract between a study and everything else: claims, checks, theories, units of work, rows.

Nothing here computes. A study (`studies/<name>.py`) declares these and offers three plain functions;
`Study` says which. The register is `crosscheck.claims.register.NAMES`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from crosscheck.claims.criteria import Criterion

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

SCALES = ("smoke", "standard", "full")
BACKENDS = ("tensorflow", "jax", "torch")
POPULATIONS = {
    "formula": "a formula: the points that were tried",
    "generator": "fresh data for every seed, from a generator that is known",
    "these data sets": "the same examples for every seed: weights and batches are drawn anew, data are not",
    "splits of this set": "overlapping splits of one set, whose spread is too small for other sets",
}
BACKEND_NAMES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


@dataclass(frozen=True)
class Advice:
    """What a practitioner wants to know of a claim: the question, the answer, and code to type for it."""

    question: str
    answer: str
    code: str


@dataclass(frozen=True)
class PublishedNumber:
    """A number that others have published, and the id of the check that holds ours against it."""

    of: str
    value: float
    check: str


@dataclass(frozen=True)
class Published:
    """Numbers of others, beside which the report sets ours.

    Attributes:
        what: the quantity, with its conventions; `by`: whose, on what.
        differences: by what differs between the protocols: theirs, ours.
    """

    what: str
    by: str
    numbers: tuple[PublishedNumber, ...]
    differences: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class Claim:
    """What the chapter asserts.

    Attributes:
        title: the claim in a few words.
        statement: the chapter's assertion, in our words.
        formula: the same in LaTeX, without delimiters.
        source: section of the chapter and problem numbers.
        correct: what a correct sentence would be; empty where the chapter's stands.
        advice: for practitioners; the report puts it, with the study's table, before the claims.
        published: numbers of others that its checks hold ours against.
    """

    title: str
    statement: str
    formula: str
    source: str
    correct: str = ""
    advice: Advice | None = None
    published: Published | None = None


@dataclass(frozen=True)
class Check:
    """One falsifiable statement of a claim, with its criterion and its two controls.

    Attributes:
        id: name within the study; the full id is `<study>/<id>`.
        statement: what is asserted.
        criterion: how the rows decide it (`crosscheck.claims.criteria`).
        theory: the value or law that it is held against, in LaTeX.
        control: the one factor that is changed so that the same criterion must come out as `fails`.
        positive: a case in which the same measurement and criterion must come out as `holds`, though they
            could come out otherwise; without it, `fails` would not count.
        population: what its intervals speak of, a word of `POPULATIONS`; that of an exact check is `formula`.
        settings: the points at which it is judged, each on an interval of its own; it holds when it
            holds at every one. A setting that is the name of a data set or backend is left out where that
            is absent.
        scope: the check narrows the claim (`scoped`) where it fails, and does not sink it.
        exact: nothing in it is random: judged without an interval, takes no share of the error rate.
        scales: those at which it is run. At others it is undecided, says so, and the study's verdict does
            without it; its share of the error rate stays reserved.
    """

    id: str
    statement: str
    criterion: Criterion
    theory: str
    control: str
    settings: tuple[str, ...] = ("",)
    scope: bool = False
    exact: bool = False
    scales: tuple[str, ...] = SCALES
    positive: str = ""
    population: str = ""

    @property
    def kind(self) -> str:
        return "scope" if self.scope else self.criterion.kind

    @property
    def tails(self) -> int:
        """In how many ways the check can come out wrong: ends of the claim's intervals, over its settings.

        The controls draw nothing: whether they were judged rightly or not, what the claim's verdict says is
        true or false of the claim's own rows.
        """
        return 0 if self.exact else self.criterion.tails * len(self.settings)

    def rows(
        self,
        claim: Any = None,
        control: Any = None,
        reference: Any = 0.0,
        *,
        positive: Any = None,
        **columns: Any,
    ) -> pd.DataFrame:
        """The check's own tidy rows, from scalars and arrays of one common shape; the claim's come first.

        Args:
            claim, control, positive: the measured values of the claim, of the control that must fail and of
                the one that must hold; those left out have rows of their own elsewhere.
            reference: what the values are held against: theory, or the other side of a paired comparison.
            columns: `setting`, `seed`, `resolution`, `x`, `path`, `quantity`, as in `crosscheck.claims.rows`.

        Raises:
            ValueError: for a setting that the check does not have, an unknown column, shapes that do not
                broadcast, rows without seeds where something is random, or an identity without resolution.
        """
        from crosscheck.claims import rows

        return rows.of_check(self, claim, control, reference, positive, **columns)


@dataclass(frozen=True)
class Theory:
    """A closed form and an independent evaluation of it, compared by the contract test at `points`."""

    name: str
    closed_form: Callable[..., float]
    brute_force: Callable[..., float]
    points: Sequence[tuple[Any, ...]]
    tolerance: float = 1e-9


@dataclass(frozen=True)
class Unit:
    """A unit of work: `getattr(study, measure)(seeds=seeds, **setting)` returns its rows.

    Attributes:
        setting: further arguments, of JSON's types: they are hashed.
        data: the data sets that the unit reads.
        pinned: the unit belongs to its backend, whichever one the user asks for.
        cost: a rough time in seconds; it only shapes the progress bar and the order of work.
        files: files of one's own that the unit reads: paths from the study's folder, the project's or the
            current one. What they hold is part of the unit's key; reading others is an error.
    """

    study: str
    measure: str
    setting: dict[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    data: tuple[str, ...] = ()
    backend: str = "tensorflow"
    pinned: bool = False
    cost: float = 1.0
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        setting = " ".join(f"{key}={value}" for key, value in self.setting.items())
        seeds = f" seeds {self.seeds[0]}–{self.seeds[-1]}" if self.seeds else ""
        return f"{self.study}/{self.measure} {setting}{seeds}".strip()


def unit(
    measure: Callable[..., pd.DataFrame | Iterable[pd.DataFrame]],
    seeds: Sequence[int] = (),
    *,
    data: str | Sequence[str] = (),
    backend: str = "tensorflow",
    pinned: bool = False,
    cost: float = 1.0,
    files: str | Sequence[str] = (),
    **setting: Any,
) -> Unit:
    """The unit of work in which a study's function measures: `measure(seeds=seeds, **setting)`.

    Args:
        measure: a function of the study's module that returns tidy rows, or yields frames of them.
        seeds: of the replicates; none where nothing is random.
        data: the data sets that it reads. A single one, as a string, is told to the function as `name`.
        backend, pinned, cost: as in `Unit`.
        files: files of one's own that it reads, as in `Unit`; a single one may be a string.
        setting: further arguments, of JSON's types.

    Raises:
        TypeError: where the function does not take such arguments.
    """
    named, sets = ({"name": data}, (data,)) if isinstance(data, str) else ({}, tuple(data))
    arguments = {**named, **setting}
    inspect.signature(measure).bind(seeds=seeds, **arguments)
    study = measure.__module__.rpartition(".")[2]
    paths = (files,) if isinstance(files, str) else tuple(files)
    return Unit(study, measure.__name__, arguments, tuple(seeds), sets, backend, pinned, cost, paths)


class Study(Protocol):
    """What a module in `studies/` offers. Measuring functions are named by its units."""

    CLAIM: Claim
    CHECKS: tuple[Check, ...]
    THEORIES: tuple[Theory, ...]

    def units(self, scale: str) -> list[Unit]:
        """The work to do at a scale."""

    def table(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The table a lecturer would paste, from saved rows alone."""

    def figure(self, rows: pd.DataFrame) -> Figure:
        """The claim at a glance, from saved rows alone."""
