"""What `label_smoothing` does to the labels. (check 15)"""

from __future__ import annotations

from typing import Any

import numpy as np

from crosscheck.audit.checks.use.calls import (
    accepted_arguments,
    is_close,
    per_example_losses,
    reportable,
    value_or_error,
)
from crosscheck.audit.checks.use.examples import NO_EXAMPLES
from crosscheck.audit.checks.use.inputs import Batch, K, call_as_typed, has_dense_labels, valid_batch
from crosscheck.audit.checks.use.smoothed_minimum import conventions
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, not_applicable, passed

ALPHAS = (0.125, 0.5)
LITTLE, JUMP = 1e-6, 1e-3  # an α that changes next to nothing, and what is more than that
OUTSIDE = (-0.5, 1.5)
NO_MIXTURE = "the smoothed labels are no fixed mixture with the uniform ones"
MIXTURE = "y (1 − α) + α / K, with K = 2 for binary labels"
ABSENT = "there is no `label_smoothing`"
BY_LABEL = "weighed by the label as it was"


def constant(subject: Subject) -> Finding:
    """Finds the c that every other class gets, so that y (1 − K c) + c stands for y, and names it by α.

    The loss without smoothing is asked for such labels, or for all labels in turn, whose losses are mixed: it
    may take no other labels, or weigh an example by its label before that is smoothed.
    """
    if "label_smoothing" not in accepted_arguments(subject):
        return not_applicable("smoothing constant", ABSENT)
    if subject.config.get("label_smoothing"):
        return not_applicable("smoothing constant", "the labels are smoothed by `config` already")
    if subject.values != "one each":
        return not_applicable("smoothing constant", NO_EXAMPLES)
    batch = valid_batch(subject)
    hard, little = (per_example_losses(subject, batch, label_smoothing=alpha) for alpha in (0.0, LITTLE))
    if not is_close(hard, little, JUMP):
        return jumping(subject, batch, hard, little)
    names = [convention(subject, alpha) for alpha in ALPHAS]
    if names[0] is not None and len(set(names)) == 1:
        return passed("smoothing constant", f"convention {names[0]}", measured=names[0])
    if not (takes_soft_labels(subject) or is_affine(subject)):
        return by_minimum(subject, batch.rows(slice(0, 1)))
    return no_mixture(subject, batch.rows(slice(0, 1)), names)


def by_minimum(subject: Subject, batch: Batch) -> Finding:
    """The finding about a loss that takes no labels between and is not affine: by where it is least."""
    by_alpha = [conventions(subject, alpha, constants(subject, alpha)) for alpha in ALPHAS]
    if any(names is None for names in by_alpha):
        reason = "it is not affine in its labels, and what it makes of labels between cannot be asked"
        return not_applicable("smoothing constant", reason)
    shared = [name for name in by_alpha[0] or () if all(name in (names or ()) for names in by_alpha)]
    if shared:
        note = f"convention {shared[0]}: there the smoothed loss is least"
        return passed("smoothing constant", note, measured=shared[0])
    return failed(
        "smoothing constant",
        call_as_typed(subject, batch, label_smoothing=ALPHAS[0], reduction=None),
        measured=f"least at no mixture with the uniform labels: {by_alpha}",
        expected=f"least at p = y (1 − α) + α/{classes(subject)}, where the whole labels' mean loss is",
        note=f"α = {ALPHAS}, c of {', '.join(constants(subject, ALPHAS[0]))}",
        cause=NO_MIXTURE,
        remedy=MIXTURE,
    )


def jumping(subject: Subject, batch: Batch, hard: np.ndarray, little: np.ndarray) -> Finding:
    row = int(np.abs(hard - little).argmax())
    one = batch.rows(slice(row, row + 1))
    return failed(
        "smoothing constant",
        call_as_typed(subject, one, label_smoothing=LITTLE, reduction=None),
        measured=float(little[row]),
        expected=float(hard[row]),
        threshold=JUMP,
        note=f"label_smoothing = {LITTLE} against none",
        cause="the smoothed labels are compared with 0 or 1, which they no longer are",
        remedy="compare the labels before they are smoothed",
    )


def no_mixture(subject: Subject, batch: Batch, names: list[str | None]) -> Finding:
    alpha = next((a for a, name in zip(ALPHAS, names, strict=True) if name is None), ALPHAS[-1])
    return failed(
        "smoothing constant",
        call_as_typed(subject, batch, label_smoothing=alpha, reduction=None),
        measured=f"c = {solve_constant(subject, alpha):.6g}",
        expected=f"c = {alpha / classes(subject):.6g}, that is α/{classes(subject)}",
        note=f"conventions at α = {ALPHAS}: {names}",
        cause=NO_MIXTURE,
        remedy=MIXTURE,
    )


def classes(subject: Subject) -> int:
    return K if subject.kind in ("categorical", "sparse") else 2


def convention(subject: Subject, alpha: float) -> str | None:
    """The name of the mixture that gives the smoothed loss of every example; None where none does."""
    smoothed = per_example_losses(subject, valid_batch(subject), label_smoothing=alpha)
    for name, c in constants(subject, alpha).items():
        if any(is_close(smoothed, mixed) for mixed in mixtures(subject, c)):
            return name
        if subject.kind == "binary" and is_weighed_by_label(subject, smoothed, c):
            return f"{name}, {BY_LABEL}"
    return None


def constants(subject: Subject, alpha: float) -> dict[str, float]:
    """What every other class may get, by name."""
    n = classes(subject)
    return {f"α/{n}": alpha / n, f"α/{n - 1}": alpha / (n - 1), "α/2": alpha / 2, "α": alpha}


def mixtures(subject: Subject, c: float) -> list[np.ndarray]:
    """The loss of labels of which every other class has c, and all labels' losses in such shares: [B]."""
    batch = valid_batch(subject)
    mixed = [mixed_losses(subject, batch, c)]
    if has_dense_labels(subject):
        labels = mix_labels(batch.y, c, classes(subject))
        loss_of_labels = value_or_error(unsmoothed, subject, batch.labelled(labels))
        mixed += [loss_of_labels] if not isinstance(loss_of_labels, str) else []
    return mixed


def unsmoothed(subject: Subject, batch: Batch) -> np.ndarray:
    return per_example_losses(subject, batch, label_smoothing=0.0)


def mixed_losses(subject: Subject, batch: Batch, c: float) -> np.ndarray:
    if classes(subject) == 2:
        if not has_dense_labels(subject):
            return unsmoothed(subject, batch)
        return (1 - c) * unsmoothed(subject, batch) + c * unsmoothed(subject, batch.labelled(1 - batch.y))
    hot = batch.y.reshape(len(batch.y), -1) if has_dense_labels(subject) else np.eye(K)[np.ravel(batch.y)]
    rows = [
        np.eye(K)[[k] * len(hot)] if has_dense_labels(subject) else np.full(len(hot), k) for k in range(K)
    ]
    losses_by_class = np.stack([unsmoothed(subject, batch.labelled(row)) for row in rows], -1)
    return np.asarray((mix_labels(hot, c, K) * losses_by_class).sum(-1))


def is_weighed_by_label(subject: Subject, smoothed: np.ndarray, c: float) -> bool:
    """Whether each example's weight is that of its label before it was smoothed: one ratio r, and 1/r."""
    batch = valid_batch(subject)
    own, other = unsmoothed(subject, batch), unsmoothed(subject, batch.labelled(1 - batch.y))
    is_one = batch.y.reshape(len(batch.y)) > 0.5
    with np.errstate(all="ignore"):
        ratios = (smoothed - (1 - c) * own) / (c * other)
    ratios = np.where(is_one, ratios, 1 / ratios)
    return bool(np.isfinite(ratios).all() and np.allclose(ratios, ratios[0], rtol=1e-3) and ratios[0] > 0)


def takes_soft_labels(subject: Subject) -> bool:
    """Whether labels between 0 and 1 have another loss than whole ones, so that mixtures can be asked for."""
    if not has_dense_labels(subject):
        return False
    batch = valid_batch(subject)
    soft = value_or_error(unsmoothed, subject, batch.labelled(mix_labels(batch.y, 0.25, classes(subject))))
    return not isinstance(soft, str) and not is_close(soft, unsmoothed(subject, batch))


def is_affine(subject: Subject) -> bool:
    """Whether the smoothed loss is affine in α, as that of labels mixed in a fixed way is."""
    low, high = ALPHAS
    hard, smoothed_low, smoothed_high = (
        per_example_losses(subject, valid_batch(subject), label_smoothing=a) for a in (0.0, low, high)
    )
    return is_close(smoothed_low - hard, (smoothed_high - hard) * low / high)


def mix_labels(y: np.ndarray, c: float, n: int) -> np.ndarray:
    return y * (1 - n * c) + c


def solve_constant(subject: Subject, alpha: float) -> float:
    """c, from the first example, where the loss is affine in its labels."""
    batch = valid_batch(subject)
    smoothed, hard, mixed_slightly = (
        values[0]
        for values in (
            per_example_losses(subject, batch, label_smoothing=alpha),
            mixed_losses(subject, batch, 0.0),
            mixed_losses(subject, batch, 0.25),
        )
    )
    return float(0.25 * (smoothed - hard) / (mixed_slightly - hard))


def bounds(subject: Subject) -> Finding:
    """Checks that the constructor or the first call refuses an α outside of [0, 1]."""
    if "label_smoothing" not in accepted_arguments(subject):
        return not_applicable("smoothing range", ABSENT)
    smoothed_by(subject, ALPHAS[0])  # or else it refuses them all
    notes = []
    for alpha in OUTSIDE:
        measured = value_or_error(smoothed_by, subject, alpha)
        if not isinstance(measured, str):
            return unbounded(subject, alpha, measured)
        notes.append(f"{alpha}: {measured}")
    return passed("smoothing range", "; ".join(notes))


def smoothed_by(subject: Subject, alpha: float) -> Any:
    return per_example_losses(subject, valid_batch(subject).rows(slice(0, 1)), label_smoothing=alpha)


def unbounded(subject: Subject, alpha: float, measured: Any) -> Finding:
    return failed(
        "smoothing range",
        call_as_typed(subject, valid_batch(subject).rows(slice(0, 1)), label_smoothing=alpha, reduction=None),
        measured=reportable(measured),
        expected="an error",
        cause="`label_smoothing` is not compared with 0 and 1",
        remedy="raise a ValueError in the constructor",
    )


CHECKS = (
    LossCheck(
        "smoothing constant",
        "Smoothing mixes with the uniform labels by a known constant.",
        constant,
        "other arguments",
    ),
    LossCheck("smoothing range", "An α outside of [0, 1] is refused.", bounds, "misuse"),
)
