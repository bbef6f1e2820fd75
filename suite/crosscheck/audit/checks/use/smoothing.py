"""What `label_smoothing` really does to the labels. (check 15)"""

from __future__ import annotations

from typing import Any

import numpy as np

from crosscheck.audit.checks.use.calls import each, near, outcome, parameters, shown
from crosscheck.audit.checks.use.inputs import K, batch, dense, typed
from crosscheck.audit.contract import Check, Finding, Subject, failed, not_applicable, passed

ALPHAS = (0.125, 0.5)
OUTSIDE = (-0.5, 1.5)
ABSENT = "there is no `label_smoothing`"


def constant(subject: Subject) -> Finding:
    """Finds the c that every other class gets, so that y (1 − K c) + c stands for y, and names it by α.

    The loss without smoothing is asked for such labels, or, where labels are integers, for all of them in
    turn: nothing else is known of it.
    """
    if "label_smoothing" not in parameters(subject):
        return not_applicable("smoothing constant", ABSENT)
    if subject.config.get("label_smoothing"):
        return not_applicable("smoothing constant", "the labels are smoothed by `config` already")
    if not dense(subject) and not affine(subject):
        why = "it is not affine in its labels, and integers cannot be mixed to ask what it makes of shares"
        return not_applicable("smoothing constant", why)
    names = [convention(subject, alpha) for alpha in ALPHAS]
    if names[0] is not None and len(set(names)) == 1:
        return passed("smoothing constant", f"convention {names[0]}", measured=names[0])
    given = batch(subject).rows(slice(0, 1))
    alpha = next((a for a, name in zip(ALPHAS, names, strict=True) if name is None), ALPHAS[-1])
    return failed(
        "smoothing constant",
        typed(subject, given, label_smoothing=alpha, reduction=None),
        measured=f"c = {solved(subject, alpha):.6g}",
        expected=f"c = {alpha / classes(subject):.6g}, that is α/{classes(subject)}",
        note=f"conventions at α = {ALPHAS}: {names}",
        cause="the smoothed labels are no fixed mixture with the uniform ones",
        remedy="y (1 − α) + α / K, with K = 2 for binary labels",
    )


def classes(subject: Subject) -> int:
    return K if subject.kind in ("categorical", "sparse") else 2


def convention(subject: Subject, alpha: float) -> str | None:
    """Which of the known mixtures gives the smoothed loss of every example; None where none does."""
    n = classes(subject)
    known = {f"α/{n}": alpha / n, f"α/{n - 1}": alpha / (n - 1), "α/2": alpha / 2, "α": alpha}
    smoothed = each(subject, batch(subject), label_smoothing=alpha)
    return next((name for name, c in known.items() if near(smoothed, mixed(subject, c), 1e-5)), None)


def affine(subject: Subject) -> bool:
    """Whether the smoothed loss is affine in α, as that of labels mixed in a fixed way is."""
    low, high = ALPHAS
    none, some, more = (each(subject, batch(subject), label_smoothing=a) for a in (0.0, low, high))
    return near(some - none, (more - none) * low / high)


def mixed(subject: Subject, c: float) -> np.ndarray:
    """The loss for labels of which every other class has c, without smoothing: [B]."""
    given = batch(subject)
    if not dense(subject):
        every = np.stack([each(subject, given.labelled(np.full(len(given.y), k))) for k in range(K)], -1)
        return (mixture(np.eye(K)[given.y], c, K) * every).sum(-1)
    return each(subject, given.labelled(mixture(given.y, c, classes(subject))))


def mixture(y: np.ndarray, c: float, n: int) -> np.ndarray:
    return y * (1 - n * c) + c


def solved(subject: Subject, alpha: float) -> float:
    """c, from the first example, where the loss is affine in its labels."""
    given = batch(subject)
    smoothed, hard, slightly = (
        values[0]
        for values in (each(subject, given, label_smoothing=alpha), mixed(subject, 0.0), mixed(subject, 0.25))
    )
    return float(0.25 * (smoothed - hard) / (slightly - hard))


def bounds(subject: Subject) -> Finding:
    """An α outside of [0, 1] is refused by the constructor, or by the first call."""
    if "label_smoothing" not in parameters(subject):
        return not_applicable("smoothing range", ABSENT)
    smoothed_by(subject, ALPHAS[0])  # or else it refuses them all
    said = []
    for alpha in OUTSIDE:
        found = outcome(smoothed_by, subject, alpha)
        if not isinstance(found, str):
            return unbounded(subject, alpha, found)
        said.append(f"{alpha}: {found}")
    return passed("smoothing range", "; ".join(said))


def smoothed_by(subject: Subject, alpha: float) -> Any:
    return each(subject, batch(subject).rows(slice(0, 1)), label_smoothing=alpha)


def unbounded(subject: Subject, alpha: float, found: Any) -> Finding:
    return failed(
        "smoothing range",
        typed(subject, batch(subject).rows(slice(0, 1)), label_smoothing=alpha, reduction=None),
        measured=shown(found),
        expected="an error",
        cause="`label_smoothing` is not compared with 0 and 1",
        remedy="raise a ValueError in the constructor",
    )


CHECKS = (
    Check(
        "smoothing constant",
        "Smoothing mixes with the uniform labels by a known constant.",
        constant,
        "other arguments",
    ),
    Check("smoothing range", "An α outside of [0, 1] is refused.", bounds, "misuse"),
)
