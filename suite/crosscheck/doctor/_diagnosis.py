"""A diagnosis: what the doctor read off an output of a model, how it is judged, and how it is printed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crosscheck.doctor._bounds import Bound
from crosscheck.paths import breaking_point, lost, symptom

BENIGN = 2.0  # up to this |z| every path keeps its gradient: how it is scaled is read off there
TELLING = 0.05  # share of the largest gradient above which one tells the scale
SPREAD = 0.05  # relative spread, at benign logits, up to which gradients count as scaled by one factor


@dataclass(frozen=True)
class Reading:
    """One step on one wrong or undecided example: a logit, its label, and what came of it.

    `gradient` is dL/dz as the step shows it; `expected` is p − y, or NaN where the loss' theory is not known.
    """

    z: float
    label: int
    loss: float
    gradient: float
    expected: float


@dataclass(frozen=True)
class Diagnosis:
    """Whether the gradients of confident errors survive on one output of a model.

    Attributes:
        output: its name; `loss`, `head`, `policy`, `backend`: what stands there.
        known: whether the loss is a cross-entropy, so that p − y is what the gradient should be.
        rivals: logits, all 0, that the first one competes with; 1 for a sigmoid, 0 where it is not known how.
        scale: what all gradients are multiplied by (a mean over outputs, a loss weight).
        readings: the steps that were taken.
        limit: |z| from which the gradient is lost; infinite where it never is.
        symptom, cause, remedy: in a line each; empty where the gradient survives.
        tried: whether the remedy was tried on the copy, and the doctor then found it sound.
        undecided: why nothing can be said; "" where something can.
        metrics: what the compiled metrics get wrong; it does not make a model broken.
        remarks: what else is to be known.
        bound: what a head can reach that holds its logits within bounds; None where it holds none.
    """

    output: str
    loss: str
    head: str
    policy: str
    backend: str
    known: bool
    rivals: int
    scale: float
    readings: tuple[Reading, ...]
    limit: float
    symptom: str = ""
    cause: str = ""
    remedy: str = ""
    tried: bool = False
    undecided: str = ""
    metrics: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    bound: Bound | None = None

    @property
    def sound(self) -> bool:
        """Whether the gradient survives at every logit tried, or fades by the nature of the loss."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """0 sound, 1 broken, 2 where the doctor could not look, or cannot tell."""
        if self.undecided:
            return 2
        return 0 if math.isinf(self.limit) or not self.known else 1

    def to_dict(self) -> dict[str, Any]:
        """For JSON: what is not a finite number becomes null."""
        return {**without_non_finite(asdict(self)), "sound": self.sound}

    def __str__(self) -> str:
        return "\n".join(
            filter(None, [self.title, f"  {self.verdict}", *self.excerpt, *self.advice, *self.notes])
        )

    @property
    def title(self) -> str:
        return f"{self.output}: {self.loss} on {self.head}, {self.policy}, {self.backend}"

    @property
    def verdict(self) -> str:
        if self.undecided:
            return f"? {self.undecided}"
        largest = max((abs(reading.z) for reading in self.readings), default=0.0)
        if math.isinf(self.limit):
            return f"✓ Gradients of confident errors survive up to |z| = {largest:g}."
        if not self.known:
            return f"• The gradient of a confident error fades from |z| = {self.limit:g} on: {self.symptom}."
        if self.limit == 0 and self.bound:
            return f"✗ No prediction can be confident: {self.symptom}."
        if self.limit == 0:
            return f"✗ The gradient is wrong everywhere: {self.symptom}."
        p = 1 / (1 + self.rivals * math.exp(min(self.limit, 700)))
        lost_from = f"from |z| = {self.limit:g} on" + (f" (p = {p:.1g})" if self.rivals else "")
        return f"✗ The gradient of a confident error is lost {lost_from}: {self.symptom}."

    @property
    def excerpt(self) -> list[str]:
        """A few readings: before, at and beyond the limit; nothing where all is well."""
        if math.isinf(self.limit) or not self.readings or self.bound:
            return []
        same_label = [reading for reading in self.readings if reading.label == self.label_lost_first]
        first_lost = next((i for i, r in enumerate(same_label) if abs(r.z) >= self.limit), 0)
        excerpt = [same_label[i] for i in sorted({max(first_lost - 1, 0), first_lost, len(same_label) - 1})]
        lines = [
            f"{r.z:8g}  {r.label:5d}  {r.loss:9.4g}  {r.gradient:10.3g}  {r.expected:10.3g}" for r in excerpt
        ]
        return [f"{'':4}{'logit':>8}  label  {'loss':>9}  {'gradient':>10}  {'expected':>10}"] + [
            f"{'':4}{line}" for line in lines
        ]

    @property
    def label_lost_first(self) -> int:
        """The label whose gradient is farthest off at the limit; the smallest where no theory is known."""

        def harm(reading: Reading) -> float:
            off = abs(reading.gradient / self.scale - reading.expected)
            apart = off if self.known else -abs(reading.gradient)
            return math.inf if math.isnan(apart) else apart

        at_limit = [reading for reading in self.readings if abs(reading.z) == self.limit]
        return max(at_limit[::-1] or self.readings[-1:], key=harm).label

    @property
    def advice(self) -> list[str]:
        tried = " (tried on the copy: sound)" if self.tried else ""
        texts = {"why": self.cause, "fix": self.remedy and self.remedy + tried}
        return [f"  {heading}: {text}." for heading, text in texts.items() if text and not self.sound]

    @property
    def notes(self) -> list[str]:
        scaled = self.known and not self.undecided and abs(self.scale - 1) > SPREAD
        lines = [f"All gradients are multiplied by {self.scale:.3g}."] if scaled else []
        return [f"  {line}" for line in (*lines, *self.remarks, *self.metrics)]

    @property
    def note(self) -> str:
        """All notes in one text."""
        return "\n".join(self.notes)


def without_non_finite(value: Any) -> Any:
    """The value with every float that is not finite replaced by None, in dictionaries and lists too."""
    if isinstance(value, dict):
        return {key: without_non_finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_non_finite(item) for item in value]
    return value if not isinstance(value, float) or math.isfinite(value) else None


def judge_readings(readings: Sequence[Reading]) -> dict[str, Any]:
    """Scale, limit and symptom of a `Diagnosis`, from its readings.

    Where the theory is known, the gradient must be what it says, times one factor for all. Elsewhere it must
    stay a number, and not fall below a millionth of what it is at benign logits.
    """
    z, gradient, expected = (
        np.array([getattr(reading, name) for reading in readings]) for name in ("z", "gradient", "expected")
    )
    is_benign = np.abs(z) <= BENIGN
    if np.isnan(expected).all():
        return judge_fading(readings)
    with np.errstate(all="ignore"):
        telling = is_benign & (np.abs(expected) > TELLING)
        ratio = gradient[telling] / expected[telling]
    if not len(ratio):
        return {"scale": 1.0, "limit": 0.0, "symptom": "the mathematics of this loss have none here"}
    scale = float(np.median(ratio))
    if not np.isfinite(scale) or scale == 0 or np.ptp(ratio) > SPREAD * abs(scale):
        return {"scale": 1.0, "limit": 0.0, "symptom": symptom_of_uneven_scale(ratio)}
    relative = gradient / scale
    is_lost = lost(relative, expected)
    return {
        "scale": scale,
        "limit": breaking_point(z, relative, expected),
        "symptom": symptom(relative[is_lost], expected[is_lost]),
    }


def judge_fading(readings: Sequence[Reading]) -> dict[str, Any]:
    """Scale, limit and symptom by whether gradients stay above a millionth of those at benign logits."""
    z, gradient = (np.array([getattr(reading, name) for reading in readings]) for name in ("z", "gradient"))
    size = np.abs(gradient) / np.max(np.abs(gradient[np.abs(z) <= BENIGN]), initial=1e-300)
    faded = np.where(np.isfinite(gradient), np.minimum(size / 1e-6, 1), np.nan)
    return {
        "scale": 1.0,
        "limit": breaking_point(z, faded, np.ones_like(z)),
        "symptom": symptom(np.where(faded < 1, 0.0, faded), np.ones_like(faded)),
    }


def only_grows(found: Diagnosis) -> bool:
    """Whether gradients that are not what they should be, from the limit on, are larger, and none is lost."""
    beyond = [r for r in found.readings if abs(r.z) >= found.limit > 0 and r.expected]
    times = [r.gradient / found.scale / r.expected for r in beyond]
    return bool(times) and min(times) > 1 - SPREAD and bool(np.isfinite(times).all())


def symptom_of_uneven_scale(ratio: np.ndarray) -> str:
    """The symptom of gradients that are wrong by different factors, or all 0, already at benign logits."""
    if np.isnan(ratio).any():
        return "NaN"
    if (ratio == 0).all():
        return "0"
    return f"{ratio.min():.2g} to {ratio.max():.2g} times what it should be, already at |z| ≤ {BENIGN:g}"
