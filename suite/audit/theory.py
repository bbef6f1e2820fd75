"""The audit's checks of theory: a loss and its gradient, by the logits, against cross-entropy's.

Logits of K classes are (z, 0, 0); the true class is the first for y = 1, the second for y = 0. A loss of
probabilities is reached through a sigmoid or a softmax, as Keras recommends.
"""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
from keras import ops

from suite.audit.contract import Check, Finding, Kind, Subject, failed, not_applicable, passed
from suite.autodiff import differentiated, numbers
from suite.paths.heads import labels, outputs
from suite.paths.oracle import oracle
from suite.paths.probing import compiled

CENTRE = np.array([-10, -3, -1, -1e-3, 0, 1e-3, 1, 3, 10.0])
TAIL = np.array([15, 16, 17, 20, 30, 50, 88, 100, 1e3, 1e4])
CONFIDENT = np.array([5, 10, 15, 17, 20, 30, 40.0])
SHIFTS = (1.0, 100.0)
CENTRE_TOLERANCE, TAIL_TOLERANCE, SLOPE_TOLERANCE, DEAD = 2e-6, 1e-5, 1e-3, 1e-3
FACTOR_TOLERANCE = 1e-4  # of a loss that is a multiple of cross-entropy at all moderate logits
NO_THEORY = "not a multiple of cross-entropy at moderate logits; nothing else is known of it"
CAPPED = 16.118  # −ln 1e-7, where Keras cuts probabilities off


def logits_of(kind: Kind, z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and logits [N, …] as a loss of this kind takes them, from z [N] and y [N] in {0, 1}."""
    logits = np.zeros((len(z), outputs(base(kind))), "float32")
    logits[:, 0] = z
    return labels(base(kind), y, "float32"), logits


def base(kind: Kind) -> str:
    """The kind as `suite.paths` names it: of one example, several labels are several binary losses."""
    return "binary" if kind == "multilabel" else kind


def expected(kind: Kind, z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cross-entropy and its gradient by z at 50 digits, rounded to float64: [N] each."""
    exact = oracle(base(kind), z, y)
    return exact.value, exact.gradient


def gradients(subject: Subject, y: np.ndarray, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value per example [N] and gradient by the logits [N, K], compiled, float32 told as float64.

    Raises:
        ValueError: where the loss does not give one value an example.
    """
    loss = per_example(subject)
    label = ops.convert_to_tensor(y, dtype=y.dtype.name)
    head = functools.partial(predictions, subject)
    both = differentiated(lambda z: (loss(label, head(z)),))
    x = ops.convert_to_tensor(logits, dtype=logits.dtype.name)
    mode = "eager" if keras.backend.backend() == "torch" else "xla"
    slope, value = (numbers(each).astype("float64") for each in compiled(both, x, mode)(x))
    if value.size != len(y):
        raise ValueError(f"The loss gave values of shape {value.shape} for {len(y)} examples, not one each.")
    return value.ravel(), slope


def per_example(subject: Subject) -> Any:
    loss: Any = subject.make()
    if subject.is_class:
        loss.reduction = None
    return loss


def predictions(subject: Subject, z: Any) -> Any:
    if subject.from_logits:
        return z
    return ops.sigmoid(z) if subject.kind in ("binary", "multilabel") else ops.softmax(z, axis=-1)


def measured(subject: Subject, z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    value, slope = gradients(subject, *logits_of(subject.kind, z, y))
    return value, slope[:, 0]


def recognised(subject: Subject) -> str | None:
    """ "cross-entropy" for a loss that is a multiple of it wherever nothing is extreme."""
    z = np.tile(np.array([-2, -0.5, 0.5, 2.0]), 2)
    y = np.repeat([0.0, 1.0], 4)
    try:
        ratio = measured(subject, z, y)[0] / expected(subject.kind, z, y)[0]
    except Exception:
        return None
    spread = np.abs(ratio / ratio.mean() - 1).max()
    return "cross-entropy" if np.isfinite(spread) and spread < FACTOR_TOLERANCE else None


def against_theory(check: str, subject: Subject, z: np.ndarray, y: np.ndarray, tolerance: float) -> Finding:
    """Value and gradient, each relative to its theory's size where that exceeds 1."""
    if subject.theory is None:
        return not_applicable(check, NO_THEORY)
    for what, found, wanted in zip(
        ("loss", "gradient"), measured(subject, z, y), expected(subject.kind, z, y), strict=True
    ):
        off = np.abs(found - wanted) / np.maximum(1, np.abs(wanted))
        bad = np.flatnonzero(~(off <= tolerance))
        if len(bad):
            i = bad[np.abs(z[bad]).argmin()]
            return failed(
                check,
                where(subject, z[i], y[i], what),
                measured=float(found[i]),
                expected=float(wanted[i]),
                threshold=tolerance,
                **explained(found[i], wanted[i], what),
            )
    return passed(check, f"value and gradient at {len(z)} logits", threshold=tolerance)


def where(subject: Subject, z: float, y: float, what: str) -> str:
    label, logits = logits_of(subject.kind, np.array([z]), np.array([y]))
    behind = "" if subject.from_logits else ", behind its activation"
    return f"{what} at y_true={label.tolist()}, logits={logits.tolist()}{behind}"


def explained(found: float, wanted: float, what: str) -> dict[str, str]:
    """Cause and remedy where the number betrays them."""
    stable = "compute from logits: from_logits=True and no activation in the model"
    if np.isnan(found):
        return {"cause": "NaN: 0 · ∞ or ∞ − ∞ in the formula", "remedy": stable}
    if np.isinf(found):
        return {"cause": "overflow, or the logarithm of 0", "remedy": stable}
    if what == "loss" and abs(found - CAPPED) < 0.2 < abs(wanted - CAPPED):
        return {"cause": "probabilities are cut off at 1e-7", "remedy": stable}
    if what == "gradient" and found == 0:
        return {"cause": "no gradient: the probability is cut off or rounds to 0 or 1", "remedy": stable}
    if wanted and abs(found / wanted - 1) > 1e-2:
        return {"cause": f"wrong by a factor of {found / wanted:.4g}", "remedy": ""}
    return {}


def centre(subject: Subject) -> Finding:
    y = np.repeat([0.0, 1.0], len(CENTRE))
    return against_theory("centre", subject, np.tile(CENTRE, 2), y, CENTRE_TOLERANCE)


def wrong_tail(subject: Subject) -> Finding:
    y = np.repeat([0.0, 1.0], len(TAIL))
    return against_theory("wrong tail", subject, np.concatenate([TAIL, -TAIL]), y, TAIL_TOLERANCE)


def right_tail(subject: Subject) -> Finding:
    y = np.repeat([1.0, 0.0], len(TAIL))
    return against_theory("right tail", subject, np.concatenate([TAIL, -TAIL]), y, 1e-6)


def dead_gradient(subject: Subject) -> Finding:
    """Confidently wrong, yet with less than a thousandth of cross-entropy's gradient."""
    z, y = np.concatenate([CONFIDENT, -CONFIDENT]), np.repeat([0.0, 1.0], len(CONFIDENT))
    _, slope = measured(subject, z, y)
    _, wanted = expected(subject.kind, z, y)
    dead = np.flatnonzero(~(np.abs(slope) >= DEAD * np.abs(wanted)))
    if not len(dead):
        return passed("dead gradient", "confidently wrong by 5 to 40", threshold=DEAD)
    i = dead[np.abs(z[dead]).argmin()]
    said = {"measured": float(slope[i]), "expected": float(wanted[i]), "threshold": DEAD}
    at = where(subject, z[i], y[i], "gradient")
    if subject.theory is None:
        return not_applicable("dead gradient", f"reported, not failed: {slope[i]:.3g} is the {at}")
    return failed("dead gradient", at, **said, **explained(slope[i], wanted[i], "gradient"))


def finite(subject: Subject) -> Finding:
    """Value and gradient to |z| = 1000, on both sides."""
    sizes = np.array([0, 1, 10, 20, 50, 88, 90, 100, 500, 1e3])
    z, y = np.tile(np.concatenate([sizes, -sizes]), 2), np.repeat([0.0, 1.0], 2 * len(sizes))
    for what, found in zip(("loss", "gradient"), measured(subject, z, y), strict=True):
        bad = np.flatnonzero(~np.isfinite(found))
        if len(bad):
            i = bad[np.abs(z[bad]).argmin()]
            at = where(subject, z[i], y[i], what)
            said = explained(found[i], np.nan, what)
            return failed("finite", at, measured=str(found[i]), expected="a finite number", **said)
    return passed("finite", f"{len(z)} logits to 1000")


def derivative(subject: Subject) -> Finding:
    """The gradient against fourth-order differences of the value, in the float32 that both come in."""
    z = np.tile(np.array([-3, -1, -0.25, 0.25, 1, 3.0]), 2)
    y = np.repeat([0.0, 1.0], len(z) // 2)
    h = 2.0**-4
    steps = np.array([-2, -1, 1, 2]) * h
    values = measured(subject, (z[:, None] + steps).ravel(), np.repeat(y, 4))[0].reshape(-1, 4)
    wanted = values @ np.array([1, -8, 8, -1]) / (12 * h)
    _, slope = measured(subject, z, y)
    bad = np.flatnonzero(~(np.abs(slope - wanted) <= SLOPE_TOLERANCE * np.maximum(1, np.abs(wanted))))
    if not len(bad):
        return passed("derivative", f"differences of the value at {len(z)} logits", threshold=SLOPE_TOLERANCE)
    i = bad[0]
    return failed(
        "derivative",
        where(subject, z[i], y[i], "gradient"),
        measured=float(slope[i]),
        expected=float(wanted[i]),
        threshold=SLOPE_TOLERANCE,
        cause="the gradient is not that of the value",
    )


def shift(subject: Subject) -> Finding:
    """c added to all logits changes nothing, and the gradient sums to 0."""
    if subject.kind in ("binary", "multilabel"):
        return not_applicable("shift", "one logit a label: a shift is no symmetry")
    y, logits = logits_of(subject.kind, np.array([-5, -1, 0, 1, 5.0]), np.array([1, 0, 1, 0, 1.0]))
    value, slope = gradients(subject, y, logits)
    off = np.abs(slope.sum(-1)).max()
    if not off <= TAIL_TOLERANCE:
        return failed(
            "shift", "gradient summed over classes", measured=off, expected=0, threshold=TAIL_TOLERANCE
        )
    for c in SHIFTS:
        moved = gradients(subject, y, (logits + c).astype("float32"))[0]
        off = np.abs(moved - value).max()
        if not off <= TAIL_TOLERANCE * (1 + c):
            at = f"{c:g} added to all logits"
            return failed("shift", at, measured=off, expected=0, threshold=TAIL_TOLERANCE * (1 + c))
    return passed("shift", "shifts by 1 and 100; the gradient sums to 0")


CHECKS = (
    Check("centre", "Value and gradient are cross-entropy's to 2e-6 for |z| ≤ 10.", centre),
    Check("wrong tail", "They are so to 1e-5, relative, confidently wrong up to |z| = 1e4.", wrong_tail),
    Check("right tail", "They are so to 1e-6 absolute where the prediction is right.", right_tail),
    Check("dead gradient", "Confidently wrong by 5 to 40, there is a gradient.", dead_gradient),
    Check("finite", "Value and gradient are finite up to |z| = 1000 on both sides.", finite),
    Check("derivative", "The gradient is the derivative of the value.", derivative),
    Check("shift", "A shift of all logits changes nothing; the gradient sums to 0.", shift),
)
