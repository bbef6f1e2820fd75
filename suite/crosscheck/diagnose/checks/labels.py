"""Labels beside loss and output: can they be read, do they have the loss' form, are they in its range?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import Output, outputs_of
from crosscheck.diagnose._program import Program
from crosscheck.diagnose._saying import fault, fine, listed, note, shape_of
from crosscheck.diagnose.checks import _label_form, _label_range, _label_reach
from crosscheck.diagnose.checks._label_facts import LabelFacts
from crosscheck.diagnose.checks._loss_value import refused_by_loss


def labels(program: Program) -> Iterator[Finding]:
    """What is wrong with the labels of each output: the first fault in the order of the checks."""
    for output in outputs_of(program):
        if output.labels is None:
            yield from no_labels(program, output)
        else:
            yield from labels_of(output, output.labels)


def labels_of(output: Output, y: np.ndarray) -> Iterator[Finding]:
    """The checks of an output's labels up to the first fault: the next ones would say the same again."""
    for check in (unreadable, not_finite):
        if finding := check(output, y):
            yield finding
            return
    facts = LabelFacts(y, output)
    judges = (
        _label_form.form,
        _label_form.units,
        _label_form.varied,
        _label_range.in_range,
        _label_reach.within_reach,
        _label_reach.within_hinge,
        _label_reach.counts,
        _label_reach.marked,
        _label_range.one_of_many,
    )
    for judged in judges:
        findings = list(judged(facts))
        yield from findings
        if any(finding.verdict == "✗" for finding in findings):
            return
    yield refused_by_loss(output, y) or summary(facts)


def no_labels(program: Program, output: Output) -> Iterator[Finding]:
    """A model may be trained without labels by a loss of its own; Keras' losses cannot."""
    if program.training.y is None:
        return
    yield fault(
        "labels-given",
        f"No labels are given for the output {output.anatomy.output!r}, which has the loss {output.loss}.",
        "Keras cannot compute a loss without labels.",
        f"y={{'{output.anatomy.output}': …}}, or no loss for it",
        output,
    )


def unreadable(output: Output, y: np.ndarray) -> Finding | None:
    """Texts, and objects, which no loss takes."""
    if y.dtype.kind in "biuf":
        return None
    values = [str(value) for value in y.ravel()[:3]]
    is_mapped = y.dtype.kind in "OSU" and y.ndim <= 2
    return fault(
        "labels-are-numbers",
        f"The labels are {'texts' if y.dtype.kind in 'OSU' else y.dtype}: {', '.join(values)}, ….",
        "A loss takes numbers: Keras refuses these.",
        "classes, y = np.unique(y, return_inverse=True)",
        output,
        numbered(output) if is_mapped and output.anatomy.labels == "classes" else None,
    )


def numbered(output: Output) -> Callable[[Program], Program]:
    """A repair: texts become numbers, in the order of their alphabet."""
    from crosscheck.diagnose._mending import mapped_labels

    assert output.labels is not None
    classes = np.unique(output.labels.astype(str))
    return lambda program: mapped_labels(
        program, output, lambda y: np.searchsorted(classes, y.astype(str)).astype("int32")
    )


def not_finite(output: Output, y: np.ndarray) -> Finding | None:
    """NaN or infinite labels: one is enough to make every weight NaN."""
    if y.dtype.kind != "f" or np.isfinite(y).all():
        return None
    places = ~np.isfinite(y)
    rows = places.reshape(len(y), -1).any(1)
    return fault(
        "labels-are-finite",
        f"{int(rows.sum())} of {len(y)} rows have a label that is NaN or infinite, as row {rows.argmax()}.",
        "One such row makes the loss NaN, and after the next step every weight.",
        "keep = np.isfinite(y).reshape(len(y), -1).all(-1); x, y = x[keep], y[keep]",
        output,
    )


def summary(facts: LabelFacts) -> Finding:
    """What the labels are, where nothing is wrong with them."""
    output, y = facts.output, facts.labels
    if not output.is_classifier:
        return not_a_classifier(facts)
    values = listed(facts.distinct) if facts.is_whole else f"{facts.low:.4g} … {facts.high:.4g}"
    return fine(
        "labels", f"{shape_of(y)} of {values}, as {output.loss} takes them on {output.units} units", output
    )


def not_a_classifier(facts: LabelFacts) -> Finding:
    """A regression, an autoencoder, an embedding: said, and not judged as a classifier."""
    output = facts.output
    known = "no cross-entropy" if output.anatomy.labels else "no loss of classes that is known here"
    return note(
        "is-a-classifier",
        f"{output.loss} is {known}: not judged as a classifier.",
        "What applies to any training is judged: shapes, finite numbers, weights, layers, arguments.",
        output=output,
    )
