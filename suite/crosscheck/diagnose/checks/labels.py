"""Labels beside loss and output: can they be read, do they have the loss' form, are they in its range?"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from crosscheck.diagnose._findings import Finding
from crosscheck.diagnose._outputs import Output, outputs_of
from crosscheck.diagnose._program import Data, Program
from crosscheck.diagnose._saying import fault, fine, listed, note, shape_of
from crosscheck.diagnose.checks import _label_form, _label_range, _label_reach
from crosscheck.diagnose.checks._exchanged import with_exchanges
from crosscheck.diagnose.checks._label_facts import LabelFacts
from crosscheck.diagnose.checks._loss_value import refused_by_loss
from crosscheck.diagnose.checks.arguments import has_own_step


def labels(program: Program) -> Iterator[Finding]:
    """What is wrong with the labels of each output: the first fault in the order of the checks."""
    outputs = outputs_of(program)
    found = [finding for output in outputs if output.labels is not None for finding in given_to(output)]
    yield from with_exchanges(outputs, found, given_to)
    for output in outputs:
        if output.labels is None:
            yield from no_labels(program, output)


def given_to(output: Output) -> Iterator[Finding]:
    """What is wrong with the labels that an output has."""
    assert output.labels is not None
    return labels_of(output, output.labels)


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
    """A class of models may train without labels; a loss that was given to `compile` cannot."""
    y, name = program.training.y, output.anatomy.output
    if y is None:
        if output is outputs_of(program)[0] and not has_own_step(program.model):
            yield none_at_all(program, output)
        return
    stranger = stranger_for(program, name)
    at = f"; {stranger!r} among the labels is the name of none" if stranger else ""
    yield fault(
        "labels-given",
        f"No labels are given for the output {name!r}, which has the loss {output.loss}{at}.",
        "Keras cannot compute a loss without labels.",
        f"y={{'{name}': {f'y[{stranger!r}]' if stranger else '…'}, …}}, or no loss for it",
        output,
        partial(with_key, stranger=stranger, name=name) if stranger else None,
    )


def none_at_all(program: Program, output: Output) -> Finding:
    """Inputs alone, of a program whose loss compares."""
    source = program.training.source
    return fault(
        "labels-given",
        f"No labels are given, and the loss is {output.loss}: there are inputs alone.",
        "Keras cannot compute a loss without labels.",
        "x, y, both of them" if source in ("arrays", "DataFrame") else f"x, y in each batch of the {source}",
    )


def stranger_for(program: Program, name: str) -> str:
    """The key among the labels that was meant for an output: the nearest of those that name none; else ""."""
    y = program.training.y
    if not isinstance(y, dict):
        return ""
    known = {key for output in outputs_of(program) for key in (*output.anatomy.keys, output.anatomy.output)}
    unknown = [key for key in y if isinstance(key, str) and key not in known]
    near = difflib.get_close_matches(name, unknown, 1)
    return near[0] if near else (unknown[0] if len(unknown) == 1 else "")


def with_key(program: Program, stranger: str, name: str) -> Program:
    """A repair: the labels under another key."""

    def renamed(data: Data) -> Data:
        y = data.y if isinstance(data.y, dict) else {}
        return replace(data, y={name if key == stranger else key: part for key, part in y.items()})

    held_out = program.validation
    is_alike = held_out is not None and isinstance(held_out.y, dict)
    return replace(
        program,
        training=renamed(program.training),
        validation=renamed(held_out) if held_out is not None and is_alike else held_out,
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
