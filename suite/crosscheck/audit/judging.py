"""Turns numbers into findings: the first input that is off, as a user could type it, and the likely cause."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from crosscheck.audit.contract import Finding, Subject, failed
from crosscheck.audit.theories import ValueAndGradient, over

EPSILONS = {"1e-6": 1e-6, "1e-7": 1e-7, "1e-8": 1e-8, "1e-10": 1e-10, "1e-12": 1e-12, "1e-15": 1e-15}
FACTORS = {
    "−1, the sign": -1.0,
    "1/ln 2, logarithms to base 2": 1 / math.log(2),
    "1/ln 10, logarithms to base 10": 1 / math.log(10),
}


class Deviation(NamedTuple):
    """A number that is not the expected one: its row and logit (−1 for the value), and both numbers."""

    row: int
    logit: int
    measured: float
    expected: float

    @property
    def quantity(self) -> str:
        return "value" if self.logit < 0 else f"gradient by logit {self.logit}"


def first_deviation(
    measured: ValueAndGradient, expected: ValueAndGradient, tolerance: float, slack: np.ndarray | None = None
) -> Deviation | None:
    """The first number off by more than tolerance · max(1, |expected|) + slack, [N] or [N, 1 + K]; else None.

    In a row the value comes first, then the gradient. Where the theory has a kink and its gradient is NaN,
    any gradient passes here: `is_derivative` examines those.
    """
    measured_columns = np.column_stack([measured.value, measured.gradient])
    expected_columns = np.column_stack([expected.value, expected.gradient])
    bound = tolerance * np.maximum(1.0, np.abs(expected_columns))
    if slack is not None:
        bound += slack if slack.ndim == 2 else slack[:, None]
    with np.errstate(invalid="ignore"):
        is_off = ~(np.abs(measured_columns - expected_columns) <= bound)  # so that NaN is off
    is_off[:, 1:] &= ~np.isnan(expected_columns[:, 1:])
    if not is_off.any():
        return None
    row, column = map(int, np.argwhere(is_off)[0])
    return Deviation(
        row, column - 1, float(measured_columns[row, column]), float(expected_columns[row, column])
    )


def largest_error(measured: ValueAndGradient, expected: ValueAndGradient) -> float:
    """The largest difference, relative to the expected number or to 1."""
    pairs = ((measured.value, expected.value), (measured.gradient, expected.gradient))
    return max(float(np.nanmax(np.abs(a - b) / np.maximum(1, np.abs(b)))) for a, b in pairs)


def call_as_typed(
    subject: Subject, z: np.ndarray, y: np.ndarray, head: str = "", dtype: str = "float32"
) -> str:
    """The call that shows a failure, as a user could type it: `loss([[1, 0]], [[-3, 0]])`."""
    in_numbers = {"sparse": f"[{int(y.argmax())}]", "ordinal": f"[{int(y.sum())}]"}
    label = in_numbers.get(subject.kind, f"[{numbers_as_typed(y)}]")
    logits = f"keras.ops.array([{numbers_as_typed(z)}], {dtype!r})"
    activation = "sigmoid" if over(subject.kind) == "labels" else "softmax"
    predictions = logits if head in ("", "logits") else f"keras.ops.{activation}({logits})"
    predictions = f"keras.ops.reshape({predictions}, (1, {z.shape[-1]}))" if head == "hidden" else predictions
    return f"loss({label}, {predictions})"


def numbers_as_typed(numbers: np.ndarray) -> str:
    return f"[{', '.join(f'{number + 0.0:.9g}' for number in np.ravel(numbers))}]"  # −0 reads as 0


def failed_at(
    check: str,
    subject: Subject,
    deviation: Deviation,
    place: tuple[np.ndarray, np.ndarray],
    threshold: float,
    note: str,
    head: str,
    cause_and_remedy: tuple[str, str] = ("", ""),
) -> Finding:
    """The failure of a check at a row of logits and labels; a cause that is not given is inferred."""
    cause, remedy = cause_and_remedy if any(cause_and_remedy) else cause_of(deviation, head)
    return failed(
        check,
        call_as_typed(subject, place[0][deviation.row], place[1][deviation.row], head),
        measured=deviation.measured,
        expected=deviation.expected,
        threshold=threshold,
        note=f"{deviation.quantity}; {note}",
        cause=cause,
        remedy=remedy,
    )


def cause_of(deviation: Deviation, head: str = "") -> tuple[str, str]:
    """Cause and remedy where a deviating number reveals them; else empty."""
    is_behind_activation = head in ("plain", "hidden")
    remedy = (
        "Pass logits with from_logits=True."
        if is_behind_activation
        else "Compute from logits, with a log-softmax."
    )
    if math.isnan(deviation.measured):
        return "NaN: ∞ − ∞, 0 · ∞ or 0/0 on the way", "Subtract the largest logit before the exponential."
    if math.isinf(deviation.measured):
        return (
            "infinite: an exponential overflows, or the logarithm of a p that is 0",
            "Subtract the largest logit before the exponential, and take no logarithm of a probability.",
        )
    if deviation.logit >= 0 and deviation.measured == 0 and deviation.expected != 0:
        return "the gradient is exactly zero: the value is clipped, or p is rounded to 0 or 1", remedy
    for name, epsilon in EPSILONS.items():
        rounded = -math.log(np.spacing(np.float32(1)))  # what 1 − 1e-7 leaves in float32
        caps = (-math.log(epsilon), rounded if name == "1e-7" else math.nan)
        if deviation.logit < 0 and any(math.isclose(deviation.measured, cap, rel_tol=1e-3) for cap in caps):
            return f"clipping of p at {name}: the value cannot exceed {-math.log(epsilon):.3f}", remedy
    is_nearly_right = math.isclose(deviation.measured, deviation.expected, rel_tol=0.2)
    return (
        ("p is rounded, clipped, or has an ε added to it", remedy)
        if is_behind_activation and is_nearly_right
        else ("", "")
    )


def constant_factor(measured: ValueAndGradient, expected: ValueAndGradient) -> tuple[str, str]:
    """Cause and remedy where every number is wrong by the same factor; else empty."""
    large = np.abs(expected.value) > 1e-2
    ratios = measured.value[large] / expected.value[large]
    if not (large.sum() > 2 and np.isfinite(ratios).all()):
        return "", ""
    factor = float(np.median(ratios))
    if abs(factor - 1) < 1e-3 or not np.allclose(ratios, factor, rtol=1e-3):
        return "", ""
    k = expected.gradient.shape[-1]
    names = [
        name for name, factor_known in FACTORS.items() if math.isclose(factor, factor_known, rel_tol=1e-3)
    ]
    names += [f"{k}, a sum in place of a mean"] if k > 1 and math.isclose(factor, k, rel_tol=1e-3) else []
    names += (
        [f"1/{k}, a mean in place of a sum"] if k > 1 and math.isclose(factor * k, 1, rel_tol=1e-3) else []
    )
    in_words = f" ({names[0]})" if names else ""
    return f"wrong by a factor {factor:.6g}{in_words}", "Divide by that factor, or name the loss otherwise."
