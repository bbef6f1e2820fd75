"""From numbers to findings: the first input that is off, as a user could type it, and the likely cause."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from crosscheck.audit.contract import Finding, Subject, failed, passed
from crosscheck.audit.theories import Told, over

EPSILONS = {"1e-6": 1e-6, "1e-7": 1e-7, "1e-8": 1e-8, "1e-10": 1e-10, "1e-12": 1e-12, "1e-15": 1e-15}
FACTORS = {
    "−1, the sign": -1.0,
    "1/ln 2, logarithms to base 2": 1 / math.log(2),
    "1/ln 10, logarithms to base 10": 1 / math.log(10),
}


class Off(NamedTuple):
    """Where a number is not what it should be: row and logit (−1: the value), and both numbers."""

    row: int
    logit: int
    measured: float
    expected: float

    @property
    def quantity(self) -> str:
        return "value" if self.logit < 0 else f"gradient by logit {self.logit}"


def first_off(told: Told, expected: Told, tolerance: float, slack: np.ndarray | None = None) -> Off | None:
    """The first row off by more than tolerance · max(1, |expected|), plus its slack, [N] or [N, 1 + K].

    Its value is looked at first, then its gradient. Where the theory has a kink, NaN, any gradient will do:
    `is_derivative` looks at those.
    """
    a = np.column_stack([told.value, told.gradient])
    b = np.column_stack([expected.value, expected.gradient])
    bound = tolerance * np.maximum(1.0, np.abs(b))
    if slack is not None:
        bound += slack if slack.ndim == 2 else slack[:, None]
    with np.errstate(invalid="ignore"):
        off = ~(np.abs(a - b) <= bound)  # so that NaN is off
    off[:, 1:] &= ~np.isnan(b[:, 1:])
    if not off.any():
        return None
    row, column = map(int, np.argwhere(off)[0])
    return Off(row, column - 1, float(a[row, column]), float(b[row, column]))


def largest_error(told: Told, expected: Told) -> float:
    """The largest difference, relative to the expected number or to 1."""
    pairs = ((told.value, expected.value), (told.gradient, expected.gradient))
    return max(float(np.nanmax(np.abs(a - b) / np.maximum(1, np.abs(b)))) for a, b in pairs)


def typed(subject: Subject, z: np.ndarray, y: np.ndarray, head: str = "", dtype: str = "float32") -> str:
    """The call that shows it: `loss([[1, 0]], [[-3, 0]])`."""
    label = f"[{int(y.argmax())}]" if subject.kind == "sparse" else f"[{row(y)}]"
    logits = f"keras.ops.array([{row(z)}], {dtype!r})"
    activation = "sigmoid" if over(subject.kind) == "labels" else "softmax"
    given = logits if head in ("", "logits") else f"keras.ops.{activation}({logits})"
    given = f"keras.ops.reshape({given}, (1, {z.shape[-1]}))" if head == "hidden" else given
    return f"loss({label}, {given})"


def row(numbers: np.ndarray) -> str:
    return f"[{', '.join(f'{each + 0.0:.9g}' for each in np.ravel(numbers))}]"  # −0 reads as 0


def verdict_of(
    check: str,
    subject: Subject,
    off: Off | None,
    place: tuple[np.ndarray, np.ndarray],
    threshold: float,
    note: str,
    head: str = "",
    dtype: str = "float32",
    **said: Any,
) -> Finding:
    """Passed where nothing is off; else failed at that row of the logits and labels in `place`."""
    if off is None:
        return passed(check, note, threshold=threshold, **said)
    cause, remedy = recognised(off, head)
    return failed(
        check,
        typed(subject, place[0][off.row], place[1][off.row], head, dtype),
        measured=off.measured,
        expected=off.expected,
        threshold=threshold,
        note=f"{off.quantity}; {note}",
        **{"cause": cause, "remedy": remedy, **{k: v for k, v in said.items() if k in ("cause", "remedy")}},
    )


def recognised(off: Off, head: str = "") -> tuple[str, str]:
    """Cause and remedy where a number gives them away."""
    behind = head in ("plain", "hidden")
    logits = "Pass logits with from_logits=True." if behind else "Compute from logits, with a log-softmax."
    if math.isnan(off.measured):
        return "NaN: ∞ − ∞, 0 · ∞ or 0/0 on the way", "Subtract the largest logit before the exponential."
    if math.isinf(off.measured):
        return (
            "infinite: an exponential overflows, or the logarithm of a p that is 0",
            "Subtract the largest logit before the exponential, and take no logarithm of a probability.",
        )
    if off.logit >= 0 and off.measured == 0 and off.expected != 0:
        return "the gradient is exactly zero: the value is clipped, or p is rounded to 0 or 1", logits
    for name, epsilon in EPSILONS.items():
        rounded = -math.log(np.spacing(np.float32(1)))  # what 1 − 1e-7 leaves in float32
        caps = (-math.log(epsilon), rounded if name == "1e-7" else math.nan)
        if off.logit < 0 and any(math.isclose(off.measured, cap, rel_tol=1e-3) for cap in caps):
            return f"clipping of p at {name}: the value cannot exceed {-math.log(epsilon):.3f}", logits
    nearly = math.isclose(off.measured, off.expected, rel_tol=0.2)
    return ("p is rounded, clipped, or has an ε added to it", logits) if behind and nearly else ("", "")


def factor_of(told: Told, expected: Told) -> tuple[str, str]:
    """Cause and remedy where every number is wrong by the same factor; else empty."""
    large = np.abs(expected.value) > 1e-2
    ratios = told.value[large] / expected.value[large]
    if not (large.sum() > 2 and np.isfinite(ratios).all()):
        return "", ""
    factor = float(np.median(ratios))
    if abs(factor - 1) < 1e-3 or not np.allclose(ratios, factor, rtol=1e-3):
        return "", ""
    k = expected.gradient.shape[-1]
    known = [name for name, each in FACTORS.items() if math.isclose(factor, each, rel_tol=1e-3)]
    known += [f"{k}, a sum in place of a mean"] if k > 1 and math.isclose(factor, k, rel_tol=1e-3) else []
    known += (
        [f"1/{k}, a mean in place of a sum"] if k > 1 and math.isclose(factor * k, 1, rel_tol=1e-3) else []
    )
    named = f" ({known[0]})" if known else ""
    return f"wrong by a factor {factor:.6g}{named}", "Divide by that factor, or name the loss otherwise."
