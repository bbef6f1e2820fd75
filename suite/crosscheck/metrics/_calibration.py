"""The expected calibration error: of arrays in NumPy, and as a Keras metric that streams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from crosscheck.metrics._base import (
    Examples,
    ProbabilityMetric,
    equal_width,
    member_of,
    one_of,
    per_count,
    positive,
)

CELLS, FAR = 512, 16.0  # of the log-odds ±16, where float32 still tells 1 − p from 0


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> np.ndarray:
    """Σ_b (n_b / N) |accuracy_b − confidence_b| over equal-width bins of the top label's confidence.

    Bins are (b/B, (b+1)/B]: a confidence of exactly 1 falls into the last, and an empty bin counts nothing.

    Args:
        probabilities: [R, N, K], or [N, K].
        labels: the true classes, [N].
        bins: number of bins B, over [0, 1].

    Returns:
        One number a replicate, [R], or a scalar; between 0 and 1.

    Source: Guo et al. 2017, section 2.
    """
    confidence = probabilities.max(-1)
    return calibration_gap(confidence, probabilities.argmax(-1) == labels, bins)


def calibration_gap(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> np.ndarray:
    """Returns the expected calibration error of N confidences: Σ_b (n_b / N) |accuracy_b − confidence_b|.

    Args:
        confidence: in [0, 1], [..., N].
        correct: how far each prediction came true, 0 to 1, [..., N].
        bins: number of equal-width bins B, over [0, 1].

    Returns:
        [...], between 0 and 1.
    """
    gap = correct - confidence  # [..., N]
    with np.errstate(invalid="ignore"):  # NaN falls into some bin, and shows there
        member = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    totals = [np.abs(np.where(member == b, gap, 0).sum(-1)) for b in range(bins)]
    return np.sum(totals, axis=0) / gap.shape[-1]


@dataclass(frozen=True)
class Reliability:
    """What a reliability diagram shows, [bins] each, or [K, bins] class by class.

    Attributes:
        count: sum of the weights in each bin.
        confidence: mean confidence there; NaN where there is nothing.
        accuracy: fraction that came true; NaN where there is nothing.
    """

    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


# --- what is binned: confidence, and how far it came true, [n, C] each -----------------------------------


def top_label(batch: Examples) -> tuple[Any, Any]:
    """Returns those of the most probable class, [n, 1]; of several, the first."""
    p, places = batch.probabilities, ops.arange(batch.probabilities.shape[-1])
    top = ops.cast(ops.expand_dims(ops.argmax(p, axis=-1), -1) == ops.cast(places, "int32"), p.dtype)
    return ops.sum(top * p, axis=-1, keepdims=True), ops.sum(top * batch.labels, axis=-1, keepdims=True)


def class_wise(batch: Examples) -> tuple[Any, Any]:
    """Returns those of every class against the rest, [n, K]."""
    return batch.probabilities, batch.labels


def positive_class(batch: Examples) -> tuple[Any, Any]:
    """Returns those of class 1 of two, [n, 1].

    Raises:
        ValueError: for another number of classes.
    """
    if batch.probabilities.shape[-1] != 2:
        raise ValueError(f'"positive_class" is one of two, not of {batch.probabilities.shape[-1]} classes.')
    return batch.probabilities[:, 1:], batch.labels[:, 1:]


KINDS = {
    "top_label": top_label,
    "class_wise": class_wise,
    "positive_class": positive_class,
    "label_wise": class_wise,  # of labels that are read apart
}
BY_COLUMN = ("class_wise", "label_wise")
SCHEMES = ("equal_width", "equal_mass")

# --- |accuracy − confidence| over bins: sums of gaps and counts, [C, bins], to [C] -----------------------


def mean_gap(gap: Any, count: Any, total: Any) -> Any:
    return ops.sum(gap, axis=-1) / total


def root_mean_square_gap(gap: Any, count: Any, total: Any) -> Any:
    return ops.sqrt(ops.sum(gap * per_count(gap, count), axis=-1) / total)


def largest_gap(gap: Any, count: Any, total: Any) -> Any:
    return ops.max(per_count(gap, count), axis=-1) + 0 * mean_gap(gap, count, total)  # no maximum hides NaN


NORMS = {"l1": mean_gap, "l2": root_mean_square_gap, "max": largest_gap}


@keras.saving.register_keras_serializable(package="crosscheck")
class ExpectedCalibrationError(ProbabilityMetric):
    """Σ_b (n_b / N) |accuracy_b − confidence_b|, weighted by sample weights, streaming in fixed memory.

    Equal width: bins (b/B, (b+1)/B], exactly; a confidence of 0 goes into the first, of 1 into the last.

    Equal mass: each bin holds N/B of the weight in order of confidence. Confidences are kept in 512 cells,
    equal in log-odds between ±16 (a cell is at most 1/64 wide), and a cell that an edge cuts gives each side
    its share, as if all in it were alike. Ties are therefore shared, in whatever order they come. Against
    sorting all examples the error differs by at most twice the fraction of the weight that lies in cut cells,
    and not at all where each of these holds a single confidence that came true alike.

    Args:
        bins: B.
        scheme: "equal_width" or "equal_mass".
        kind: "top_label", the confidence in the predicted class (Guo et al. 2017); "class_wise", the mean
            over classes of each one's error against the rest (Kull et al. 2019; the state grows with K);
            "positive_class", that of class 1 of two; or "label_wise", the mean over several labels, each of
            its own sigmoid, labels and predictions [..., L].
        norm: "l1" as above; "l2", √Σ_b (n_b / N) gap_b²; "max", the largest gap of any bin.
        from_logits: whether predictions are logits.
        name, dtype: as in `keras.metrics.Metric`; float32 or float64.

    Raises:
        ValueError: for an unknown choice; at the first batch, for "positive_class" of more than two classes.

    >>> metric = ExpectedCalibrationError()
    >>> metric.update_state([0, 0, 0, 1], [[0.9, 0.1]] * 4)  # 90 % sure, 75 % right
    >>> round(float(metric.result()), 4)
    0.15
    """

    count: Any
    confidence: Any
    accuracy: Any

    def __init__(
        self,
        bins: int = 15,
        scheme: str = "equal_width",
        kind: str = "top_label",
        norm: str = "l1",
        from_logits: bool = False,
        name: str = "expected_calibration_error",
        dtype: Any = None,
    ):
        self.bins, self.scheme = positive("bins", bins), one_of("scheme", scheme, SCHEMES)
        self.kind, self.norm = one_of("kind", kind, KINDS), one_of("norm", norm, NORMS)
        super().__init__(from_logits=from_logits, name=name, dtype=dtype)
        self.edges = equal_width(bins) if scheme == "equal_width" else log_odds_cells()
        self.classes: int | None = None
        self.labels_apart = kind == "label_wise"
        if kind not in BY_COLUMN:
            self.start(1)

    def start(self, classes: int) -> None:
        """Makes the sums; where there is one for each class, the first batch tells how many."""
        self.add_sums((classes, len(self.edges[0])), "count", "confidence", "accuracy")
        self.classes = classes

    def accumulate(self, batch: Examples) -> None:
        confidence, accuracy = KINDS[self.kind](batch)  # [n, C]
        if self.classes is None:
            self.start(confidence.shape[-1])
        inside = member_of(confidence, *self.edges) * batch.weight[:, None, None]  # [n, C, cells]
        sums = (
            (self.count, ops.ones_like(confidence)),
            (self.confidence, confidence),
            (self.accuracy, accuracy),
        )
        for total, value in sums:
            total.assign(total + ops.sum(inside * value[..., None], axis=0))

    def binned(self) -> list[Any]:
        """Returns counts and sums of confidence and of accuracy, bin by bin: [C, bins] each."""
        sums = [ops.convert_to_tensor(total) for total in (self.count, self.confidence, self.accuracy)]
        if self.scheme == "equal_width":
            return sums
        share = shares(sums[0], self.bins)
        return [ops.sum(share * ops.expand_dims(total, -1), axis=1) for total in sums]

    def result(self) -> Any:
        if self.classes is None:
            return ops.full((), float("nan"), self.dtype)
        count, confidence, accuracy = self.binned()
        error = NORMS[self.norm](ops.abs(accuracy - confidence), count, ops.sum(count, axis=-1))
        return ops.sum(error) / self.classes

    def reliability(self) -> Reliability:
        """Returns the bins so far, for a reliability diagram.

        Raises:
            ValueError: before the first example.
        """
        if self.classes is None:
            raise ValueError("There are no bins before the first example.")
        count, *sums = (ops.convert_to_numpy(total) for total in self.binned())
        with np.errstate(invalid="ignore"):
            means = [total / count for total in sums]
        by_class = self.kind in BY_COLUMN
        return Reliability(*(values if by_class else values[0] for values in (count, *means)))

    def get_config(self) -> dict[str, Any]:
        own = {"bins": self.bins, "scheme": self.scheme, "kind": self.kind, "norm": self.norm}
        return {**super().get_config(), **own}


def log_odds_cells() -> tuple[list[float], list[float]]:
    """Returns lower and upper edges of `CELLS` cells, equal in log-odds; the outer ones are open."""
    inner = 1 / (1 + np.exp(-np.linspace(-FAR, FAR, CELLS + 1)[1:-1]))
    return [float("-inf"), *inner.tolist()], [*inner.tolist(), float("inf")]


def shares(count: Any, bins: int) -> Any:
    """Returns the part of each cell that each of B bins of equal mass takes: [C, cells] to [C, cells, B]."""
    upper = ops.cumsum(count, axis=-1)
    total = upper[:, -1:, None]
    upper, lower = ops.expand_dims(upper, -1), ops.expand_dims(upper - count, -1)
    start = ops.arange(bins, dtype=count.dtype)
    taken = ops.minimum(upper, total * (start + 1) / bins) - ops.maximum(lower, total * start / bins)
    return per_count(ops.maximum(taken, ops.zeros_like(taken)), ops.expand_dims(count, -1))
