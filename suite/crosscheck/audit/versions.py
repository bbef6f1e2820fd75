"""Two versions of Keras side by side: which failures of the audit the other one mends, adds or leaves.

A side is an environment, whose Python audits the losses there, or the JSON that an audit has left.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, to_builtins

from crosscheck.audit.other_backends import environment_of
from crosscheck.audit.scorecard import USE_OF
from crosscheck.errors import UsageError
from crosscheck.report.records import decode

Fate = Literal["mended", "new", "changed", "unchanged", "no longer asked"]
FATES: Mapping[Fate, str] = {
    "mended": "failed, and passes",
    "new": "did not fail, and does",
    "changed": "fails with another number or at another input",
    "unchanged": "fails as before",
    "no longer asked": "failed, and is described, does not apply or could not be looked at there",
}
PACKAGES = ("keras", "keras-nightly", "tensorflow", "jax", "torch", "numpy")
LISTING = f"""
import importlib.metadata, platform
have = {{found.metadata["Name"].lower(): found.version for found in importlib.metadata.distributions()}}
parts = [f"{{name}} {{have[name]}}" for name in {PACKAGES} if name in have]
print(", ".join(["Python " + platform.python_version(), *parts, platform.machine()]))
"""


class Answer(Struct, frozen=True):
    """What one check said of a loss, as `crosscheck audit` writes it."""

    check: str
    verdict: Literal["passed", "failed", "described", "not applicable", "could not look", "expected"]
    at: str = ""
    measured: float | str | None = None
    expected: float | str | None = None

    @property
    def in_words(self) -> str:
        if self.verdict != "failed":
            return self.verdict
        return f"{self.measured}" + ("" if self.expected is None else f", expected {self.expected}")


class Card(Struct, frozen=True):
    """One loss in one configuration under one Keras."""

    loss: str
    config: dict[str, Any]
    kind: str
    backend: str
    keras: str
    checks: list[Answer]

    @property
    def title(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.config.items())
        return f"{self.loss.removeprefix('keras.losses:')}({arguments}), {self.kind}"


Side = Annotated[list[Card], Meta(min_length=1)]


class Change(Struct, frozen=True):
    """What became of one failure: where it is seen, and what either Keras gives there."""

    loss: str
    check: str
    use: str
    fate: Fate
    at: str
    before: str
    after: str


class Comparison(Struct, frozen=True):
    """Every failure of either side, and what only one of them has.

    Attributes:
        run_with: the `packages_under` each side's Python; none where a side was saved.
    """

    before: str
    after: str
    compared: int
    changes: list[Change]
    only_before: list[str]
    only_after: list[str]
    run_with: list[str] = []

    def count(self, fate: Fate) -> int:
        return sum(change.fate == fate for change in self.changes)

    @property
    def exit_code(self) -> int:
        """1 where a check fails there that did not here; else 0."""
        return 1 if self.count("new") else 0


def is_saved(side: Path) -> bool:
    """Whether a side is an audit that was saved, not a Python."""
    return side.suffix == ".json"


def sides(
    of: Sequence[Path], arguments: Sequence[str], backend: str, report: Callable[[str], Any]
) -> list[list[Card]]:
    """The scorecards of each side, a file or a Python; `report` gets a line where one is awaited.

    What takes long comes last: files are read and Pythons asked for their Keras before anything is audited.

    Raises:
        UsageError: where a file is no audit, a Python lacks what it needs, both have the same Keras, or an
            audit does not get to its end there.
    """
    saved = {side: read_side(side) for side in of if is_saved(side)}
    require_different([side for side in of if side not in saved], backend)
    return [saved.get(side) or audited(side, arguments, backend, report) for side in of]


def audited(python: Path, arguments: Sequence[str], backend: str, report: Callable[[str], Any]) -> list[Card]:
    report(f"the audit under {python} …")
    return audit_elsewhere(python, arguments, backend)


def require_different(pythons: Sequence[Path], backend: str) -> None:
    """
    Raises:
        UsageError: where a Python cannot import what an audit needs, or two have the same Keras.
    """
    kerases = [keras_under(python, backend) for python in pythons]
    if len(kerases) == 2 and kerases[0] == kerases[1]:
        raise UsageError(
            f"{' and '.join(map(str, pythons))} both have {kerases[0]}: there is nothing to compare. Name "
            "another environment's Python, or audits that were saved."
        )


def keras_under(python: Path, backend: str) -> str:
    """Which Keras a Python has, on which version of the backend.

    Raises:
        UsageError: where it cannot import them, or what else an audit needs.
    """
    modules = f"import keras, {backend}, crosscheck.audit.command"
    told = f"print(f'Keras {{keras.__version__}} on {backend} {{{backend}.__version__}}')"
    ran = run_there([str(python.absolute()), "-P", "-c", f"{modules}; {told}"], backend)
    if ran.returncode:
        raise UsageError(
            f"No audit can run under {python}: {last_line(ran.stderr)}. "
            "It needs Keras there, and what this package depends on."
        )
    return last_line(ran.stdout)


def packages_under(python: Path, backend: str) -> str:
    """What decides the numbers of an audit under a Python: its version, and those of `PACKAGES` there."""
    return last_line(run_there([str(python.absolute()), "-P", "-c", LISTING], backend).stdout)


def read_side(file: Path) -> list[Card]:
    return decode(file, Side, "an audit", "crosscheck audit")


def audit_elsewhere(python: Path, arguments: Sequence[str], backend: str) -> list[Card]:
    """What `crosscheck audit` says under another Python, which imports this package and its own Keras.

    Raises:
        UsageError: with the last line of its error stream, where it does not get to its end.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [str(python.absolute()), "-P", "-m", "crosscheck", "audit", *arguments]
        of_all = [] if "--json" in arguments else ["--out", folder]
        ran = run_there([*command, *of_all, "--backend", backend], backend)
        if not of_all and ran.stdout:
            Path(folder, "audit.json").write_text(ran.stdout, encoding="utf-8")
        files = list(Path(folder).glob("audit*.json"))
        if ran.returncode not in (0, 1) or not files:  # Python itself ends with 1, too
            raise UsageError(f"The audit under {python} did not end: {last_line(ran.stderr)}.")
        return read_side(files[0])


def run_there(command: Sequence[str], backend: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, env=environment_of(backend))
    except OSError as error:
        raise UsageError(
            f"{command[0]} is no Python that runs: {error.strerror}. Name an interpreter, or an audit.json."
        ) from error


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]


def compare(before: Sequence[Card], after: Sequence[Card]) -> Comparison:
    """Check by check, of the losses that both sides have in the same configuration."""
    here, there = by_title(before), by_title(after)
    both = [title for title in here if title in there]
    return Comparison(
        before=version_of(before),
        after=version_of(after),
        compared=len(both),
        changes=[change for title in both for change in changes_of(here[title], there[title])],
        only_before=[title for title in here if title not in there],
        only_after=[title for title in there if title not in here],
    )


def by_title(cards: Iterable[Card]) -> dict[str, Card]:
    return {card.title: card for card in cards}


def same_keras(comparison: Comparison) -> str:
    """A warning where it is not the version that differs; else nothing."""
    if comparison.before != comparison.after:
        return ""
    return f"Both audits are of {comparison.before}: what differs is not for another version of Keras.\n"


def version_of(cards: Sequence[Card]) -> str:
    return f"Keras {cards[0].keras} on {cards[0].backend}"


def changes_of(before: Card, after: Card) -> Iterator[Change]:
    """One for each check that fails on either side."""
    silent = Answer("", "could not look")
    here, there = ({answer.check: answer for answer in card.checks} for card in (before, after))
    for check in dict.fromkeys([*here, *there]):
        old, new = here.get(check, silent), there.get(check, silent)
        fate = fate_of(old, new)
        if fate:
            seen = old if old.verdict == "failed" else new
            use = USE_OF.get(check, "valid")
            yield Change(before.title, check, use, fate, seen.at, old.in_words, new.in_words)


def fate_of(before: Answer, after: Answer) -> Fate | None:
    """None where it fails on neither side; a failure that was expected is none."""
    if before.verdict != "failed":
        return "new" if after.verdict == "failed" else None
    if after.verdict == "failed":
        return "unchanged" if (before.at, before.in_words) == (after.at, after.in_words) else "changed"
    return "mended" if after.verdict == "passed" else "no longer asked"


def to_text(comparison: Comparison) -> str:
    """How many failures met which fate, and a line for each that is not as before."""
    counts = ", ".join(f"{comparison.count(fate)} {fate}" for fate in FATES)
    lines = [
        f"{comparison.before} against {comparison.after}, {comparison.compared} configurations",
        f"failures: {counts}",
        *(
            f"{change.fate:16}{change.check:20}{change.loss}"
            for change in comparison.changes
            if change.fate != "unchanged"
        ),
    ]
    return same_keras(comparison) + "\n".join(lines)


def to_json(comparison: Comparison, scripts: Sequence[Struct]) -> str:
    """A line a change, so that it stays readable."""
    record = to_builtins(comparison)
    changes = ",\n  ".join(json.dumps(change, ensure_ascii=False) for change in record.pop("changes"))
    head = json.dumps({**record, "scripts": to_builtins(scripts)}, ensure_ascii=False, indent=1)
    return f'{head[:-2]},\n "changes": [\n  {changes}\n ]\n}}\n'
