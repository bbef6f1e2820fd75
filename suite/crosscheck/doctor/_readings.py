"""The readings of an output: wrong or undecided examples, and what a training step makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from crosscheck.doctor._cut import Cut
from crosscheck.doctor._diagnosis import Reading
from crosscheck.doctor._patient import Patient, take_steps
from crosscheck.doctor._theory import NUMBERED, Theory, one_hot, slope
from crosscheck.errors import UsageError

SIZES = (0, 1, 2, 5, 10, 15, 17, 20, 30, 40, 60, 88, 100, 1000, 9984.0)  # exact in bfloat16
FEW = (0, 1, 2, 20, 88, 9984.0)  # where a remedy is tried
LOOKED_AT = 8  # of the other classes, at most
FAR, NEARER = 100.0, (1, 2, 5, 10, 15, 20, 40)  # where the other classes' logits are looked at, far out first
NONE, ALL = 1e-6, 0.99  # probabilities from which on a gradient may be rounded to 0, as of a masked class
KEPT = 1e-3  # of its gradient near 0 a logit keeps more, far out in the direction in which the loss rises
FALLEN = 1e-3  # of 1 + a loss: by so much less it has come down
LARGEST = 60000.0  # what float16 holds


@dataclass(frozen=True)
class Example:
    """An example of which a reading is taken.

    Attributes:
        z: how far the logit of the class in question is moved; `label`, its label.
        t: the value of the varied logit that moves it so far.
        y: labels in the loss' form; `row`, of all classes at one place.
    """

    z: float
    label: int
    t: float
    y: Any
    row: np.ndarray


def examples(cut: Cut, theory: Theory | None, sizes: Sequence[float] = SIZES) -> list[Example]:
    """Wrong or undecided examples of both labels, as far as the loss counts them."""
    gain = cut.slope[cut.main] if cut.kind not in ("constant", "unknown") else 1.0
    per_unit = np.sign(gain) * 2.0 ** -np.round(np.log2(abs(gain)))  # a power of two keeps sizes exact
    found = []
    for label in (0, 1):
        row = row_of(cut, theory, label)
        if row is None:
            continue
        for size in sizes:
            if size * abs(per_unit) > cut.reach:
                continue
            t = float(np.clip((size if label == 0 else -size) * per_unit, -LARGEST, LARGEST))
            found.append(Example(float(gain * t), label, t, in_form(cut, theory, row), row))
    return found


def row_of(cut: Cut, theory: Theory | None, label: int) -> np.ndarray | None:
    """Labels of all classes: the one in question is 1, or another is; None where no other one counts."""
    k = cut.shape[cut.class_axis]
    main = cut.main if cut.kind not in ("constant", "unknown") else min(cut.varied, k - 1)
    if form_of(cut, theory) == "labels":
        follows = (
            np.abs(cut.slope) > 0.5 * np.abs(cut.slope).max() if len(cut.slope) == k else np.arange(k) == main
        )
        return follows * float(label)
    ignored = theory.ignored if theory else None
    others = [j for j in range(k) if j not in (main, ignored)]
    if label == 1:
        return one_hot(k, main)
    return one_hot(k, others[0]) if others else None


def form_of(cut: Cut, theory: Theory | None) -> str:
    """The form of labels; of a loss without theory the one it was seen to take, else the likeliest."""
    if theory:
        return theory.labels
    if cut.labels:
        return cut.labels
    return "labels" if cut.kind == "sigmoid" or cut.shape[-1] == 1 else "one-hot"


def in_form(cut: Cut, theory: Theory | None, row: np.ndarray) -> Any:
    """These labels at every place, as the loss takes them."""
    shape, form = cut.shape, form_of(cut, theory)
    axis = cut.class_axis % len(shape)
    if form in NUMBERED:
        places = tuple(n for i, n in enumerate(shape) if i != axis)
        return np.full((*places, *NUMBERED[form]), int(row.argmax()), "int32")
    if form == "outcomes":  # the outcome's number in binary
        bits = int(np.log2(shape[-1]))
        outcome = [(int(row.argmax()) >> (bits - 1 - i)) & 1 for i in range(bits)]
        return np.broadcast_to(np.array(outcome, "float32"), (*shape[:-1], bits)).copy()
    placed = row.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return np.broadcast_to(placed, shape).astype("float32")


def readings(
    patient: Patient, cut: Cut, theory: Theory | None, sizes: Sequence[float] = SIZES
) -> tuple[Reading, ...]:
    """A reading for every example, with what the theory says of it; NaN where there is none."""
    wrong = examples(cut, theory, sizes)
    measured = take_steps(patient, [e.y for e in wrong], [e.t for e in wrong])
    if cut.kind == "unknown":
        wrong, measured = those_that_get_worse(wrong, measured)
    expected = [expected_of(cut, theory, example) for example in wrong]
    pull = {label: pull_of(cut, theory, [e for e in wrong if e.label == label]) for label in (0, 1)}
    top = max(pull.values()) / by_towers(cut)
    return tuple(
        Reading(e.z, e.label, value, gradient * top / pull[e.label], exact / pull[e.label])
        for e, (value, gradient), exact in zip(wrong, measured, expected, strict=True)
    )


def others_lost(patient: Patient, cut: Cut, theory: Theory | None) -> str:
    """What is wrong with logits beside the one that the readings are of; "" for nothing, or if unknown."""
    k = cut.shape[cut.class_axis]
    if theory is None or cut.kind in ("constant", "unknown") or cut.squash or not k == cut.width > 1:
        return ""
    if classes := left_alone(patient, cut, theory):
        return f"the logits of classes {listed(classes)} move the prediction, and no step moves them"
    if classes := lost_far_out(patient, cut, theory, FAR):
        size = next((size for size in NEARER if lost_far_out(patient, cut, theory, size)), FAR)
        return f"from |z| = {size:g} on no step moves the logits of classes {listed(classes)}"
    return ""


def left_alone(patient: Patient, cut: Cut, theory: Theory) -> list[int]:
    """Classes whose logits an output follows and no step moves: some of them, where the theory moves all."""
    benign = next(iter(examples(cut, theory, (2,))[::-1]), None)
    if benign is None:
        return []
    _, row = patient.gradients(benign.y, benign.t)
    start, p = cut.row(cut.at(0)), predicted(cut, theory, benign.t)
    moves = lambda i: bool(np.any(cut.row(one_hot(cut.width, i)) != start))
    pulled = np.where(benign.row > 0, p < ALL, p > NONE)
    still = np.flatnonzero((row == 0) & pulled)
    return [int(i) for i in still[:LOOKED_AT] if moves(int(i))]


def predicted(cut: Cut, theory: Theory, t: float) -> np.ndarray:
    """The probabilities of all classes where the varied logit is t, [k]: a masked class has about none."""
    row = cut.row(cut.at(t)).astype("float64")
    if cut.kind != "identity":
        return np.exp(row) if cut.kind == "log-softmax" else row
    return special.expit(row) if theory.activation == "sigmoid" else special.softmax(row)


def lost_far_out(patient: Patient, cut: Cut, theory: Theory, size: float) -> list[int]:
    """Classes whose logit has a gradient near 0 and none at ±size, as the varied one has: of some of them."""
    size = min(size, cut.reach)
    usual = least_kept(patient, cut, theory, cut.varied, size)
    others = np.delete(np.arange(cut.width), cut.varied)
    chosen = others[np.unique(np.linspace(0, len(others) - 1, min(len(others), LOOKED_AT)).astype(int))]
    return [i for i in chosen.tolist() if least_kept(patient, cut, theory, i, size) < KEPT * min(usual, 1.0)]


def least_kept(patient: Patient, cut: Cut, theory: Theory, i: int, size: float) -> float:
    """The share that a logit's gradient keeps at ±size, where the loss rises: the least of both labels."""
    varied, other, shares = replace(cut, varied=i), (i + 1) % cut.width, [np.inf]
    for label in (i, other):
        y = in_form(cut, theory, one_hot(cut.width, label))
        near = patient.gradients_from(y, varied.at(0.0))[1][i]
        if np.isfinite(near) and near != 0:
            far = patient.gradients_from(y, varied.at(float(np.sign(near)) * size))[1][i]
            shares.append(abs(float(far / near)) if np.isfinite(far) else 0.0)
    return float(min(shares))


def listed(classes: Sequence[int]) -> str:
    return ", ".join(map(str, classes))


def those_that_get_worse(
    alike: list[Example], measured: list[tuple[float, float]]
) -> tuple[list[Example], list[tuple[float, float]]]:
    """Examples and losses of the labels whose loss does not fall as the logit goes out: others come right.

    Raises:
        UsageError: where there are none.
    """
    kept = []
    for label in (0, 1):
        mine = [pair for pair in zip(alike, measured, strict=True) if pair[0].label == label]
        losses = [loss for _, (loss, _) in mine]
        if not (losses and losses[-1] < losses[0] - FALLEN * (1 + abs(losses[0]))):
            kept += mine
    if not kept:
        raise UsageError("The loss falls however far out the logit is: the doctor found no wrong prediction.")
    return [example for example, _ in kept], [pair for _, pair in kept]


def pull_of(cut: Cut, theory: Theory | None, alike: Sequence[Example]) -> float:
    """The gradient in theory, without smoothing, by which those of a label are told; 1 where there is none.

    That of the most confident error; of a loss that lets go of confident errors, the largest.
    """
    plain = (
        replace(theory, parameters={**theory.parameters, "label_smoothing": 0.0})
        if theory and smooths(theory)
        else theory
    )
    sizes = [abs(expected_of(cut, plain, e)) for e in sorted(alike, key=lambda e: abs(e.z))]
    largest = max(sizes, default=0.0)
    if not largest > 0:
        return 1.0
    return sizes[-1] if sizes[-1] > largest / 2 else largest


def by_towers(cut: Cut) -> float:
    """How many times the logit follows what several towers are given alike, as where they are added."""
    several = sum(map(cut.holds_logits, cut.tensors)) > 1
    return max(1.0, float(np.abs(cut.slope).max())) if several else 1.0


def smooths(theory: Theory) -> bool:
    return bool(theory.parameters.get("label_smoothing"))


def expected_of(cut: Cut, theory: Theory | None, example: Example) -> float:
    """dL/dt in theory, of what the model predicts: by its own activation, or by the loss'."""
    if theory is None or cut.kind in ("constant", "unknown"):
        return np.nan
    kind = {"identity": theory.activation, "log-softmax": "softmax"}.get(cut.kind, cut.kind)
    return slope(theory, example.row, cut.logits, kind, example.t)
