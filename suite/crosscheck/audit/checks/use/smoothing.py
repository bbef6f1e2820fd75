"""What `label_smoothing` does to the labels. (check 15)"""

from __future__ import annotations

from typing import Any

import numpy as np

from crosscheck.audit.checks.use.calls import (
    accepted_arguments,
    example_losses,
    is_close,
    reportable,
    value_or_error,
)
from crosscheck.audit.checks.use.inputs import K, call_as_typed, has_dense_labels, valid_batch
from crosscheck.audit.contract import Finding, LossCheck, Subject, failed, not_applicable, passed

ALPHAS = (0.125, 0.5)
OUTSIDE = (-0.5, 1.5)
ABSENT = "there is no `label_smoothing`"


def constant(subject: Subject) -> Finding:
    """Finds the c that every other class gets, so that y (1 − K c) + c stands for y, and names it by α.

    The loss without smoothing is asked for such labels, or, where labels are integers, for all of them in
    turn: nothing else is known of it.
    """
    if "label_smoothing" not in accepted_arguments(subject):
        return not_applicable("smoothing constant", ABSENT)
    if subject.config.get("label_smoothing"):
        return not_applicable("smoothing constant", "the labels are smoothed by `config` already")
    if not has_dense_labels(subject) and not is_affine(subject):
        reason = "it is not affine in its labels, and integers cannot be mixed to ask what it makes of shares"
        return not_applicable("smoothing constant", reason)
    names = [convention(subject, alpha) for alpha in ALPHAS]
    if names[0] is not None and len(set(names)) == 1:
        return passed("smoothing constant", f"convention {names[0]}", measured=names[0])
    batch = valid_batch(subject).rows(slice(0, 1))
    alpha = next((a for a, name in zip(ALPHAS, names, strict=True) if name is None), ALPHAS[-1])
    return failed(
        "smoothing constant",
        call_as_typed(subject, batch, label_smoothing=alpha, reduction=None),
        measured=f"c = {solve_constant(subject, alpha):.6g}",
        expected=f"c = {alpha / classes(subject):.6g}, that is α/{classes(subject)}",
        note=f"conventions at α = {ALPHAS}: {names}",
        cause="the smoothed labels are no fixed mixture with the uniform ones",
        remedy="y (1 − α) + α / K, with K = 2 for binary labels",
    )


def classes(subject: Subject) -> int:
    return K if subject.kind in ("categorical", "sparse") else 2


def convention(subject: Subject, alpha: float) -> str | None:
    """The name of the mixture that gives the smoothed loss of every example; None where none does."""
    n = classes(subject)
    constants = {f"α/{n}": alpha / n, f"α/{n - 1}": alpha / (n - 1), "α/2": alpha / 2, "α": alpha}
    smoothed = example_losses(subject, valid_batch(subject), label_smoothing=alpha)
    return next(
        (name for name, c in constants.items() if is_close(smoothed, loss_of_mixed_labels(subject, c), 1e-5)),
        None,
    )


def is_affine(subject: Subject) -> bool:
    """Whether the smoothed loss is affine in α, as that of labels mixed in a fixed way is."""
    low, high = ALPHAS
    unsmoothed, smoothed_low, smoothed_high = (
        example_losses(subject, valid_batch(subject), label_smoothing=a) for a in (0.0, low, high)
    )
    return is_close(smoothed_low - unsmoothed, (smoothed_high - unsmoothed) * low / high)


def loss_of_mixed_labels(subject: Subject, c: float) -> np.ndarray:
    """The loss for labels of which every other class has c, without smoothing: [B]."""
    batch = valid_batch(subject)
    if not has_dense_labels(subject):
        losses_by_class = np.stack(
            [example_losses(subject, batch.labelled(np.full(len(batch.y), k))) for k in range(K)], -1
        )
        return (mix_labels(np.eye(K)[batch.y], c, K) * losses_by_class).sum(-1)
    return example_losses(subject, batch.labelled(mix_labels(batch.y, c, classes(subject))))


def mix_labels(y: np.ndarray, c: float, n: int) -> np.ndarray:
    return y * (1 - n * c) + c


def solve_constant(subject: Subject, alpha: float) -> float:
    """c, from the first example, where the loss is affine in its labels."""
    batch = valid_batch(subject)
    smoothed, hard, mixed_slightly = (
        values[0]
        for values in (
            example_losses(subject, batch, label_smoothing=alpha),
            loss_of_mixed_labels(subject, 0.0),
            loss_of_mixed_labels(subject, 0.25),
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
    return example_losses(subject, valid_batch(subject).rows(slice(0, 1)), label_smoothing=alpha)


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
