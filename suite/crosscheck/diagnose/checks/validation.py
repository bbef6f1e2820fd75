"""Validation data, looked at as training data are: does the model take them, do labels fit the loss?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import outputs_of
from crosscheck.diagnose._program import Data, Program, remembered
from crosscheck.diagnose._saying import fault, fine
from crosscheck.diagnose.checks.inputs import ACCEPTED, EMBEDDED, FINITE, ROWS, inputs
from crosscheck.diagnose.checks.labels import labels
from crosscheck.diagnose.checks.weights import bad_rows, of_outputs

FITS, TAIL = "validation-fits", "validation-split"
OF_INPUTS = (ACCEPTED, ROWS, FINITE, EMBEDDED)
WHY = "At the end of the first epoch Keras refuses them, or reports a val_loss that says nothing."


def validation(program: Program) -> Iterator[Finding]:
    """What is wrong with the rows that are held out, or with how many they are."""
    if program.validation is not None:
        found = list(misfits(program))
        yield from found or [
            fine(FITS, f"{program.validation.rows} rows, as the model and its loss take them")
        ]
    elif program.validation_split:
        yield from nothing_left(program)


def misfits(program: Program) -> Iterator[Finding]:
    """Each ✗ of the validation data that the training data have not, of which each output has one at most."""
    swapped = in_place_of_training(program)
    known = {(f.check, f.output) for f in wrong_with(program)}
    labelled = {f.output for f in wrong_with(program) if f.check not in OF_INPUTS}
    found = [f for f in wrong_with(swapped) if (f.check, f.output) not in known]
    found = [f for f in found if f.check in OF_INPUTS or f.output not in labelled]
    refused = [f for f in found if f.check == ACCEPTED]
    for finding in refused or found:
        yield said_of(program, swapped, finding, is_alone=len(found) == 1)


@remembered
def in_place_of_training(program: Program) -> Program:
    """The program with its validation data as training data, and nothing held out."""
    assert program.validation is not None
    return replace(program, training=program.validation, validation=None, validation_split=0.0)


@remembered
def wrong_with(program: Program) -> list[Finding]:
    """Every ✗ of inputs, labels and sample weights that matters also where nothing is trained on them."""
    found = [f for f in inputs(program) if f.check in OF_INPUTS and f.verdict == "✗"]
    if any(f.check in (ACCEPTED, ROWS) for f in found):
        return found
    found += [f for f in labels(program) if f.verdict == "✗"]
    found += [f for f in of_outputs(program) if f.verdict == "✗"]
    given = [(output, output.weights) for output in outputs_of(program) if output.weights is not None]
    return found + [f for output, w in given if (f := bad_rows(program, output, w))]


def said_of(program: Program, swapped: Program, finding: Finding, is_alone: bool) -> Finding:
    """A ✗ under the name of this check; a ? of a regression's targets, which few rows may miss by chance."""
    is_asked = finding.check == "labels-in-range" and not is_of_classes(program, finding.output)
    mended = validation_mended(program, swapped, finding) if is_alone and not is_asked else None
    return replace(
        finding,
        check=FITS,
        verdict="?" if is_asked else "✗",
        measured=f"validation_data: {finding.measured}",
        why="What the head cannot give, the validation counts as an error." if is_asked else WHY,
        fix="" if is_asked else f"in validation_data: {fix_of(program, finding)}",
        repair=None if mended is None else lambda program: replace(program, validation=mended),
    )


def is_of_classes(program: Program, name: str) -> bool:
    return any(output.is_classifier for output in outputs_of(program) if output.name == name)


def fix_of(program: Program, finding: Finding) -> str:
    """The fix of the data alone; or that inputs and labels have changed places, where that is so."""
    if finding.check == ACCEPTED and has_changed_places(program):
        return "(x, y): inputs and labels have changed places"
    _, _, of_labels = finding.fix.partition(", or y = ")
    return f"y = {of_labels}" if finding.fix.startswith("loss=") and of_labels else finding.fix


def has_changed_places(program: Program) -> bool:
    """Whether nothing is wrong with the validation's labels as inputs, and its inputs as labels."""
    data = program.validation
    if data is None or not isinstance(data.x, np.ndarray) or not isinstance(data.y, np.ndarray):
        return False
    turned = replace(data, x=data.y, y=data.x)
    return not wrong_with(replace(program, training=turned, validation=None, validation_split=0.0))


def validation_mended(program: Program, swapped: Program, finding: Finding) -> Data | None:
    """The validation data as the fix leaves them; None where it changes the model, or cannot be made."""
    if finding.repair is None:
        return None
    with suppress(Exception):
        candidate = finding.repair(swapped)
        if candidate.model is program.model:
            return candidate.training
    return None


# --- a share of the training data --------------------------------------------------------------------------


def nothing_left(program: Program) -> Iterator[Finding]:
    """A `validation_split` that leaves no row on one of its sides, or of data that Keras does not cut."""
    share, data = program.validation_split, program.training
    if data.source not in ("arrays", "DataFrame", "train_on_batch"):
        what = f"validation_split={share:g} of a {data.source}: Keras cuts arrays alone."
        yield fault(TAIL, what, "`fit` raises before its first step.", "validation_data=…, and no split")
        return
    start = int(np.floor(data.rows * (1 - share)))  # as Keras cuts
    if 0 < start < data.rows:
        return
    if 0 <= start <= data.rows and 0 < share <= 1:
        what = f"{start} of {data.rows} rows are left for training, {data.rows - start} for the validation"
        why = "`fit` raises before its first step."
    else:
        what, why = (
            "it is no share of the rows",
            "Keras takes it without a word, and holds out other rows, or none.",
        )
    yield fault(TAIL, f"validation_split={share:g}: {what}.", why, "validation_split=0.2")
