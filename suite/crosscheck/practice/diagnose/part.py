"""The second part in a folder: sick programs laid out, answers marked, and `crosscheck diagnose` beside them.

The answers are nowhere in the folder: the seed draws the programs, and the marker draws them again.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from crosscheck._files import write_atomically
from crosscheck.diagnose import examine
from crosscheck.errors import UsageError
from crosscheck.practice.card import Card, Mark, could_not_look
from crosscheck.practice.diagnose import evidence, observing
from crosscheck.practice.diagnose.faults import FAULTS, NONE, drawn_set
from crosscheck.practice.diagnose.recipes import Recipe, program_of
from crosscheck.practice.folder import read_state

NAME = "diagnose"
ANSWERS = "answers.toml"
SECONDS = 5.0  # that `crosscheck diagnose` may train copies of a program
ANOTHER = "another"  # a ✗ that names none of the faults
Told = Mapping[str, str]


# --- laying out --------------------------------------------------------------------------------------------


def lay_out(folder: Path, seed: int, report: Callable[[str], None]) -> None:
    """Trains the programs of a seed and writes what each shows, the answer sheet and what to do."""
    programs = drawn_set(seed)
    for name, (_, recipe) in programs.items():
        report(f"{name} of {len(programs)} is trained")
        observing.write(observing.observe(recipe), folder / name, name)
    write_atomically(folder / ANSWERS, answer_sheet(list(programs)))
    write_atomically(folder / "README.md", instructions(len(programs)))


def answer_sheet(names: Sequence[str]) -> str:
    """A table a program, empty."""
    return "\n".join(f'[{name}]\nfault = ""\nevidence = ""\n' for name in names)


def instructions(count: int) -> str:
    """The words that an answer takes."""
    faults = "\n".join(f"- {name}" for name in (*FAULTS, NONE))
    observations = "\n".join(f"- {name}" for name in evidence.OBSERVATIONS)
    return f"""# Which of these programs are sick?

{count} programs trained one classifier each on the digits: 64 pixels, a hidden layer with ReLU, ten logits,
Adam, sparse categorical cross-entropy. Most have exactly one fault, some none, and no fault comes twice.

Each folder has the log of the training (`log.csv`), its layers before and after (`layers.csv`: the spread of
a kernel, the mean size of its gradient over 200 rows, the share of hidden outputs above 0, how far the kernel
moved at most), a reliability diagram of rows that were not trained on (`reliability.csv`) and all of it drawn
with histograms of the gradients (`figure.png`).

Write into `{ANSWERS}` one fault and one observation for each program, in these words. A point for the fault;
one for an observation that is true of the program's files and points to the fault.

Faults:

{faults}

Observations:

{observations}
"""


# --- marking -----------------------------------------------------------------------------------------------


def card_of(folder: Path, only: Sequence[str] = ()) -> Card:
    """Two points a program, fault and evidence.

    Once every program has an answer, `crosscheck diagnose` is asked about the same ones, and both confusion
    matrices are told: they say which faults the set holds.
    """
    programs = drawn_set(read_state(folder)["seed"])
    answers = read_answers(folder / NAME)
    marks = [
        mark_of(folder / NAME / name, fault, answers.get(name, {}))
        for name, (fault, _) in programs.items()
        if not only or name in only
    ]
    theirs = {name: str(answers.get(name, {}).get("fault", "")) for name in programs}
    if only or not all(theirs.values()):
        return Card(tuple(marks))
    truths = {name: fault for name, (fault, _) in programs.items()}
    ours = {name: instrument_answer(recipe, folder / NAME / name) for name, (_, recipe) in programs.items()}
    matrices = [*confusion("you", truths, theirs), *confusion("crosscheck diagnose", truths, ours)]
    return Card(tuple(marks), (*matrices, *scores(truths, theirs, ours)))


def read_answers(folder: Path) -> dict[str, dict[str, str]]:
    """The answers by program.

    Raises:
        UsageError: where the file is not there, or is no TOML of tables.
    """
    try:
        answers = tomllib.loads((folder / ANSWERS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder / ANSWERS} cannot be read: {error}") from error
    if not all(isinstance(answer, dict) for answer in answers.values()):
        raise UsageError(f"{folder / ANSWERS} holds a table for each program, with fault and evidence.")
    return answers


def mark_of(folder: Path, fault: str, answer: Mapping[str, Any]) -> Mark:
    """Whether the fault is named, and whether what was seen is there and points to it."""
    named, seen = str(answer.get("fault", "")), str(answer.get("evidence", ""))
    strange = [f"no fault is called {named!r}"] if named not in ("", NONE, *FAULTS) else []
    strange += [f"no observation is called {seen!r}"] if seen not in ("", *evidence.OBSERVATIONS) else []
    try:
        files = evidence.read(folder)
    except UsageError as error:
        return could_not_look(NAME, folder.name, str(error))
    is_there = seen in evidence.OBSERVATIONS and evidence.holds(seen, files)
    points = (named == fault) + (is_there and seen in pointing(fault))
    words = strange or remarks_on(named, seen, named == fault, is_there, fault)
    return Mark(NAME, folder.name, points, 2, "passed" if points == 2 else "failed", tuple(words))


def pointing(fault: str) -> tuple[str, ...]:
    """The observations that point to a fault."""
    return (evidence.AMISS,) if fault == NONE else FAULTS[fault].evidence


def remarks_on(named: str, seen: str, is_right: bool, is_there: bool, fault: str) -> list[str]:
    """What was wrong with an answer, without the right one."""
    if not named:
        return ["no answer"]
    words = [] if is_right else ["it has another fault, or none" if named != NONE else "it is not healthy"]
    if not is_there:
        words.append(f"its files do not show that {seen!r}" if seen else "no observation is named")
    elif is_right and seen not in pointing(fault):
        words.append(f"{seen!r} is true, and points elsewhere")
    return words


# --- the instrument ----------------------------------------------------------------------------------------


def instrument_answer(recipe: Recipe, folder: Path) -> str:
    """What `crosscheck diagnose` says of a program: the fault that its first ✗ names, "another", or "none".

    Several faults may be named by one check: then the one whose program this is counts, for the instrument
    names checks and not these words.
    """
    findings = examine(program_of(recipe, evidence.read(folder).history), seconds=SECONDS)
    faults = [finding.check for finding in findings.faults]
    if not faults:
        return NONE
    named = [name for name, fault in FAULTS.items() if faults[0] in fault.checks]
    changed = [name for name in named if is_changed_so(recipe, name)]
    return (changed or named or [ANOTHER])[0]


def is_changed_so(recipe: Recipe, fault: str) -> bool:
    return all(getattr(recipe, name) == value for name, value in FAULTS[fault].changes.items())


def scores(truths: Told, theirs: Told, ours: Told) -> list[str]:
    right = lambda answers: sum(answers[name] == fault for name, fault in truths.items())
    return [f"faults named: you {right(theirs)}, crosscheck diagnose {right(ours)}, of {len(truths)}"]


def confusion(who: str, truths: Told, answers: Told) -> list[str]:
    """Rows are what programs have, columns what was said of them."""
    said = sorted({*truths.values(), *answers.values()})
    count = lambda truth, answer: sum(truths[name] == truth and answers[name] == answer for name in truths)
    width = max(map(len, said))
    head = " ".join(f"{number:>2}" for number in range(1, len(said) + 1))
    rows = [
        f"{number:>2} {truth:{width}} " + " ".join(f"{count(truth, answer) or '·':>2}" for answer in said)
        for number, truth in enumerate(said, 1)
    ]
    return [f"{who}: rows have it, columns were said", f"{'':{width + 3}} {head}", *rows]
